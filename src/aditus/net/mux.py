"""Drives one `Session` over one WebSocket: messages in, frames out, and streams handed to their ends.

There are no tasks and no queues here: whoever calls in (the WebSocket, a stream's end, a timer) runs the
session. What it then has to say leaves once, at the end of the loop's turn: small frames share a message,
and so one TLS record and one system call, which cost far more than the bytes.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Protocol, cast

from aditus.net.ws import WebSocket
from aditus.wire import frames
from aditus.wire.credit import PROCESS_BUDGET, SESSION_BUDGET, Budget
from aditus.wire.errors import CloseCode, ResetReason, Violation
from aditus.wire.events import AcceptReceived, DataReceived, Event, FinReceived, OpenReceived, ResetReceived
from aditus.wire.session import Limits, Session

_log = logging.getLogger(__name__)

RECEIVE_SIZE = 262_144
"""Bytes read from a TCP connection at once, when nothing else waits to be sent."""
SHARED_RECEIVE_SIZE = 65_536
"""Bytes read at once when something does: what is read first keeps the rest waiting."""
SMALL = 16_384 + frames.HEADER_SIZE
"""Bytes up to which frames share a message."""
BUNDLE_SIZE = 65_536
BUNDLE_FRAMES = 32
"""Bytes and frames that leave before the turn is over: the peer can begin with them."""


@dataclass(slots=True)
class Resources:
    """What all sessions of one loop share: the memory that may be promised, and one receive buffer.

    One buffer is enough, since what was read into it is copied before the loop does anything else.
    """

    budget: Budget = field(default_factory=lambda: Budget(PROCESS_BUDGET))
    limits: Limits = field(default_factory=Limits)
    receive_buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(RECEIVE_SIZE)))
    violations: int = 0  # sessions that ended because their peer broke the protocol

    def session_budget(self) -> Budget:
        """A session's share, spent from the process's budget."""
        return Budget(SESSION_BUDGET, self.budget)


class StreamEnd(Protocol):
    """The local end of a stream: what it does with what comes out of the tunnel. Must not raise."""

    def data(self, data: memoryview) -> None:
        """Bytes, valid during the call only; their credit goes back by `MuxStream.consume`."""
        ...

    def accepted(self) -> None:
        """The far side is connected."""
        ...

    def ended(self) -> None:
        """The far side sends no more."""
        ...

    def cut(self, reason: ResetReason, detail: str) -> None:
        """The stream is gone in both directions; nothing is called afterwards."""
        ...

    def congested(self) -> None:
        """Send nothing until `relieved`."""
        ...

    def relieved(self) -> None:
        """Sending may go on."""
        ...

    def sent(self, size: int) -> None:
        """So many bytes left that had to wait; told of streams that are watched."""
        ...


class SessionOwner(Protocol):
    """Who decides about a session: the relay's accept, the agent's link. Must not raise."""

    def event(self, mux: "Mux", event: Event) -> None:
        """An event of the session itself (hello, offer, status, goaway)."""
        ...

    def opened(self, mux: "Mux", stream: "MuxStream", port: int, source: str) -> None:
        """The peer opened a stream: set `stream.end` at once, or reset it."""
        ...

    def closed(self, mux: "Mux", code: int | None, reason: str) -> None:
        """The WebSocket is gone and all streams with it. `code` is None when nobody said why."""
        ...


class MuxStream:
    """One stream, as its local end holds it."""

    __slots__ = ("_mux", "bytes_received", "bytes_sent", "end", "number", "opened_at", "port", "source")

    def __init__(self, mux: "Mux", number: int, port: int, source: str) -> None:
        self._mux = mux
        self.number = number
        self.port = port
        self.source = source
        self.opened_at = time.time()
        self.bytes_sent = 0
        self.bytes_received = 0
        self.end: StreamEnd | None = None

    @property
    def receive_buffer(self) -> memoryview:
        """Where the local end reads into before it calls `send`."""
        mux = self._mux
        buffer = mux.resources.receive_buffer
        return buffer if mux.session.quiet else buffer[:SHARED_RECEIVE_SIZE]

    def send(self, data: memoryview) -> bool:
        """Send bytes into the tunnel: whether they left at once, or wait.

        The end is told `congested` when it should stop for now.
        """
        self.bytes_sent += len(data)
        return self._mux.send(self, data)

    def watch(self) -> None:
        """Tell the end by `sent` when bytes leave that had to wait."""
        self._mux.session.watch(self.number)

    def accept(self) -> None:
        """Tell the far side that the target answered."""
        self._mux.session.accept(self.number)
        self._mux.flush_soon()

    def finish(self) -> None:
        """Send no more; what was sent before arrives first."""
        self._mux.session.finish(self.number)
        self._mux.flush_soon()

    def consume(self, size: int) -> None:
        """Return the credit of `size` received bytes."""
        self._mux.session.consume(self.number, size, time.monotonic())
        self._mux.flush_soon()

    def reset(self, reason: ResetReason, detail: str = "") -> None:
        """End the stream in both directions. Without effect on one that is over."""
        self._mux.session.reset(self.number, reason, detail)
        self._mux.flush_soon()

    def cut(self, reason: ResetReason) -> None:
        """End the stream in both directions, for its local end too."""
        self.reset(reason)
        if self.end is not None:
            self.end.cut(reason, "")


class Mux:
    """A `Session` with its WebSocket, its timer and the ends of its streams."""

    def __init__(
        self, session: Session, owner: SessionOwner, resources: Resources, lost: ResetReason
    ) -> None:
        self.session = session
        self.resources = resources
        self.bytes_sent = 0
        self.bytes_received = 0
        self.streams_total = 0
        self.ws: WebSocket | None = None
        self._owner = owner
        self._lost = lost  # what streams are told when the WebSocket is lost
        self._streams: dict[int, MuxStream] = {}
        self.quiet = asyncio.Event()
        """Set while there are no streams."""
        self.quiet.set()
        self._timer: asyncio.TimerHandle | None = None
        self._abandoned = False
        self._loop = asyncio.get_running_loop()
        self._flushes_soon = False
        self._small: list[bytes] = []  # frames that leave in one message
        self._small_size = 0

    @property
    def streams(self) -> list[MuxStream]:
        """The streams that are not over, oldest first."""
        return list(self._streams.values())

    def open(self, port: int, source: str, end: StreamEnd) -> MuxStream:
        """Open a stream for an app port. Raises `CannotOpen`."""
        number = self.session.open(port, source, time.monotonic())
        stream = self._add(number, port, source)
        stream.end = end
        self.flush_soon()
        return stream

    def send(self, stream: MuxStream, data: memoryview) -> bool:
        """Send a stream's bytes: at once (True) when nothing else waits, else copied, in their turn."""
        size = len(data)
        self.bytes_sent += size
        if size > SMALL:
            self.flush()
        ws = self.ws
        if ws is not None and ws.writable:
            frame = self.session.send_at_once(stream.number, data)
            if frame is not None:
                self._put(frame)
                self.flush_soon()
                return True
        if not self.session.send(stream.number, data) and stream.end is not None:
            stream.end.congested()
        self.flush_soon()
        return False

    def flush_soon(self) -> None:
        """Flush at the end of the loop's turn, if there is a reason to."""
        if not self._flushes_soon and (self._small or not self.session.quiet):
            self._flushes_soon = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what the session wants to send, as far as the WebSocket takes it."""
        self._flushes_soon = False
        ws, session = self.ws, self.session
        if ws is None:
            return
        if session.quiet:
            self._send_small()
            return
        while ws.writable and (frame := session.next_frame()) is not None:
            self._put(frame)
        self._send_small()
        for number in session.relieved():
            if (stream := self._streams.get(number)) is not None and stream.end is not None:
                stream.end.relieved()
        for number, size in session.sent():
            if (stream := self._streams.get(number)) is not None and stream.end is not None:
                stream.end.sent(size)
        self._drop_what_is_over()

    def cut(self, reason: ResetReason) -> None:
        """Cut every stream with this reason, now; nothing passes any more. `close` follows."""
        self._send_small()
        self._drop_what_is_over()
        self.session.close()
        self._cut(list(self._streams), reason)

    def close(self, code: CloseCode, reason: str, streams: ResetReason) -> None:
        """Cut every stream with this reason, now, and close the WebSocket."""
        self.cut(streams)
        if self.ws is not None:
            self.ws.close(code, reason)

    def abandon(self) -> None:
        """Nobody waits for the WebSocket any more: should it still open, it is dropped."""
        self._abandoned = True
        self.abort()

    def abort(self) -> None:
        """Drop the WebSocket without a word; the owner is told as of any loss."""
        if self.ws is not None:
            self.ws.abort()

    # --- MessageHandler: the WebSocket calls these ---------------------------------------------

    def connected(self, ws: WebSocket) -> None:
        self.ws = ws
        if self._abandoned:
            ws.abort()
            return
        self._tick()

    def message(self, message: memoryview) -> None:
        now = time.monotonic()
        try:
            for frame in frames.unbundle(message):
                event = self.session.receive(frame, now)
                if event is None:
                    continue
                try:
                    self._dispatch(event)
                except Exception:
                    if not self._contain(event):
                        raise
        except Violation as violation:
            self.violated(str(violation))
            return
        self.flush_soon()

    def violated(self, what: str) -> None:
        self.resources.violations += 1
        _log.warning("closing a session: its peer broke the protocol: %s", what)
        self.close(CloseCode.PROTOCOL, "protocol", ResetReason.PROTOCOL)

    def writable(self) -> None:
        self.flush()

    def closed(self, code: int | None, reason: str) -> None:
        self.ws = None
        if self._timer is not None:
            self._timer.cancel()
        self._cut(self.session.close(), self._lost)  # what was received whole is still delivered
        self._owner.closed(self, code, reason)

    # -------------------------------------------------------------------------------------------

    def _drop_what_is_over(self) -> None:
        for number in self.session.over():
            self._streams.pop(number, None)
            if not self._streams:
                self.quiet.set()

    def _put(self, frame: bytes) -> None:
        if len(frame) > SMALL:
            self._send_small()
            cast(WebSocket, self.ws).send(frame)
            return
        self._small.append(frame)
        self._small_size += len(frame)
        if self._small_size > BUNDLE_SIZE or len(self._small) >= BUNDLE_FRAMES:
            self._send_small()

    def _send_small(self) -> None:
        small = self._small
        if small and self.ws is not None:
            self._small, self._small_size = [], 0
            self.ws.send(small[0] if len(small) == 1 else frames.encode_bundle(small))

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            stream = self._streams[event.stream]
            size = len(event.data)
            stream.bytes_received += size
            self.bytes_received += size
            if stream.end is not None:
                stream.end.data(event.data)
        elif isinstance(event, OpenReceived):
            stream = self._add(event.stream, event.port, event.source)
            self._owner.opened(self, stream, event.port, event.source)
        elif isinstance(event, AcceptReceived | FinReceived | ResetReceived):
            end = self._streams[event.stream].end
            if end is None:
                return
            if isinstance(event, AcceptReceived):
                end.accepted()
            elif isinstance(event, FinReceived):
                end.ended()
            else:
                end.cut(event.reason, event.detail)
        else:
            self._owner.event(self, event)

    def _contain(self, event: Event) -> bool:
        """A defect in a stream's end costs that stream alone. False: it was not a stream's."""
        stream = self._streams.get(getattr(event, "stream", 0))
        if stream is None:
            return False
        _log.exception("a stream failed")
        stream.cut(ResetReason.INTERNAL)
        return True

    def _add(self, number: int, port: int, source: str) -> MuxStream:
        stream = MuxStream(self, number, port, source)
        self._streams[number] = stream
        self.quiet.clear()
        self.streams_total += 1
        return stream

    def _cut(self, numbers: list[int], reason: ResetReason) -> None:
        streams, self._streams = self._streams, {}
        self.quiet.set()
        for number in numbers:
            if (stream := streams.get(number)) is not None and stream.end is not None:
                stream.end.cut(reason, "")

    def _tick(self) -> None:
        now = time.monotonic()
        if self.ws is not None and (silence := self.ws.silence()) is not None:
            self.session.heard(now - silence)  # part of a message is a sign of life, too
        if not self.session.tick(now):
            _log.warning("dropping a session: its peer has been silent for too long")
            self.abort()
            return
        self.flush()
        delay = max(self.session.next_tick() - now, 0.1)
        self._timer = self._loop.call_later(delay, self._tick)
