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
    """The frames of one session that wait to be sent. Holds no data itself: the streams do.

    In the ring are exactly the streams that want to send, so everything here but control frames is
    bounded by the number of streams.
    """

    def __init__(self) -> None:
        self._control: deque[bytes] = deque()
        self._grants: deque[Stream] = deque()
        self._ring: deque[Stream] = deque()
        self.backlog = 0
        """Bytes of control frames that wait, WINDOWs not counted."""

    @property
    def idle(self) -> bool:
        """Whether nothing at all waits."""
        return not (self._ring or self._control or self._grants)

    def control(self, frame: bytes) -> None:
        """Queue a whole frame that goes ahead of all data."""
        self._control.append(frame)
        self.backlog += len(frame)

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

    def forget(self, stream: Stream) -> None:
        """The stream is over: it takes no more turns."""
        if stream.scheduled:
            self._ring.remove(stream)
        if stream.grant:
            self._grants.remove(stream)

    def next(self) -> tuple[bytes, Stream | None] | None:
        """Take the frame that goes next, with its stream if it is DATA or FIN; None when nothing may go."""
        if self._control:
            frame = self._control.popleft()
            self.backlog -= len(frame)
            return frame, None
        if self._grants:
            stream = self._grants.popleft()
            increment, stream.grant = stream.grant, 0
            return encode_window(stream.number, increment), None
        if self._ring:
            stream = self._ring[0]
            return (self._data(stream) if stream.queued else self._fin(stream)), stream
        return None

    def _data(self, stream: Stream) -> bytes:
        turn = MAX_DATA if len(self._ring) == 1 else QUANTUM
        if not 0 < stream.deficit <= turn:
            stream.deficit = turn
        data = stream.take(min(stream.deficit, stream.credit))
        stream.deficit -= len(data)
        if not stream.wants_to_send:
            self._leave(stream)
        elif not stream.deficit:
            self._ring.rotate(-1)
        return encode_data(stream.number, data)

    def _fin(self, stream: Stream) -> bytes:
        self._leave(stream)
        stream.ending = False
        stream.move(Move.SEND_FIN)
        return encode_fin(stream.number)

    def _leave(self, stream: Stream) -> None:
        self._ring.popleft()
        stream.scheduled = False
        stream.deficit = 0
