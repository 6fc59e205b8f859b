"""What leaves a session next: control frames first, then the streams in turn, by deficit round robin.

Streams wait in a ring. The one in front sends until its deficit is used up, then goes to the back; a
stream alone sends large frames, several send small ones, so that none waits long for the others.
"""

from collections import deque

from aditus.wire.frames import MAX_DATA, encode_data, encode_fin, encode_window
from aditus.wire.stream import Move, Stream

QUANTUM = 16_384
"""Bytes a stream sends in its turn while others wait: 13 µs at 10 Gbit/s."""


class Scheduler:
    """The frames of one session that wait to be sent. Holds no data itself: the streams do."""

    def __init__(self) -> None:
        self._control: deque[bytes] = deque()
        self._grants: deque[Stream] = deque()
        self._ring: deque[Stream] = deque()

    @property
    def control_waiting(self) -> int:
        """Control frames that wait, WINDOWs not counted: those are one per stream at most."""
        return len(self._control)

    @property
    def idle(self) -> bool:
        """Whether nothing at all waits."""
        return not (self._control or self._grants or self._ring)

    def control(self, frame: bytes) -> None:
        """Queue a whole frame that goes ahead of all data."""
        self._control.append(frame)

    def grant(self, stream: Stream, increment: int) -> None:
        """Queue credit for the peer; increments of one stream add up to one WINDOW."""
        if not stream.grant:
            self._grants.append(stream)
        stream.grant += increment

    def ready(self, stream: Stream) -> None:
        """The stream may have something to send now: data with credit for it, or FIN."""
        if not stream.scheduled and stream.wants_to_send:
            stream.scheduled = True
            self._ring.append(stream)

    def next(self) -> tuple[bytes, Stream | None] | None:
        """Take the frame that goes next, with its stream if it is DATA or FIN; None when nothing may go."""
        if self._control:
            return self._control.popleft(), None
        while self._grants:
            stream = self._grants.popleft()
            increment, stream.grant = stream.grant, 0
            if increment:  # else the stream was reset meanwhile
                return encode_window(stream.number, increment), None
        while self._ring:
            stream = self._ring[0]
            if stream.queued and stream.credit:
                return self._data(stream), stream
            self._ring.popleft()
            stream.scheduled = False
            stream.deficit = 0
            if stream.wants_to_send:
                stream.ending = False
                stream.move(Move.SEND_FIN)
                return encode_fin(stream.number), stream
        return None

    def _data(self, stream: Stream) -> bytes:
        turn = MAX_DATA if len(self._ring) == 1 else QUANTUM
        if not 0 < stream.deficit <= turn:
            stream.deficit = turn
        data = stream.take(min(stream.deficit, stream.credit))
        stream.deficit -= len(data)
        if not stream.deficit:
            self._ring.rotate(-1)
        return encode_data(stream.number, data)
