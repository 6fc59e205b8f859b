"""A stream as asyncio's streams have it: a reader and a writer, with no socket in between."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any

from aditus.net.mux import MuxStream
from aditus.sidecar.http_connect import in_words
from aditus.wire.errors import ResetReason
from aditus.wire.session import CONGESTED_ABOVE, RELIEVED_BELOW

LINGER_SECONDS = 60.0
"""How long a closed stream waits for the far side's end, as kernels do for a closed socket."""
LINGER_BYTES = 32_768
"""What a closed stream lets pass unheard: a goodbye. After more, the far side learns by a reset that nobody
listens. Less than the first window, since the credit for it does not go back."""


class StreamTransport(asyncio.Transport):
    """The transport over one stream, and the `StreamEnd` of it. Not made by callers: see `App.open`.

    Bytes that come while reading is paused wait here, at most the stream's window: their credit goes back
    when the protocol has them. What is written waits in the session; `pause_writing` says when it is much.
    """

    def __init__(
        self, protocol: asyncio.Protocol, port: int, over: Callable[["StreamTransport"], None]
    ) -> None:
        super().__init__({"app_port": port})
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._told_over = over
        self._stream: MuxStream
        self.connected: asyncio.Future[None] = self._loop.create_future()
        """Done when the far side is connected; `ConnectionRefusedError` when it is not."""
        self.over: asyncio.Future[None] = self._loop.create_future()
        """Done when nothing comes or goes any more."""
        self._waiting = bytearray()  # not read yet
        self._unheard = 0  # came after `close`
        self._queued = 0  # bytes that wait in the session
        self._paused = False
        self._congested = False
        self._fin_sent = False
        self._fin_received = False
        self._fin_told = False
        self._closing = False
        self._lost = False
        self._linger: asyncio.TimerHandle | None = None

    def bind(self, stream: MuxStream) -> None:
        """Tie it to its stream, right after that was opened."""
        self._stream = stream
        stream.watch()

    # --- asyncio's side: writing ---------------------------------------------------------------

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send all of `data`, after what was written before. After a loss it is dropped, as on a socket."""
        if self._fin_sent and not self._lost:
            raise RuntimeError("nothing can be written after write_eof() or close()")
        view = memoryview(data).cast("B")
        if self._lost or not view:
            return
        if not self._stream.send(view):
            self._queued += len(view)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Send no more; what was written before arrives first. The far side goes on."""
        if not self._fin_sent and not self._lost:
            self._fin_sent = True
            self._stream.finish()

    def get_write_buffer_size(self) -> int:
        return self._queued

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return RELIEVED_BELOW, CONGESTED_ABOVE

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: the session's own limits hold for all streams."""

    # --- asyncio's side: reading ---------------------------------------------------------------

    def is_reading(self) -> bool:
        return not (self._paused or self._closing or self._lost)

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._deliver)

    # --- asyncio's side: the end ---------------------------------------------------------------

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol):
            raise TypeError("a stream needs an asyncio.Protocol")
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing or self._lost

    def close(self) -> None:
        """End after what was written; what comes now is not read."""
        if self._closing or self._lost:
            return
        self.write_eof()
        self._closing = True
        self._unheard += len(self._waiting)
        self._waiting.clear()
        self._linger = self._loop.call_later(LINGER_SECONDS, self.abort)
        self._settle()

    def abort(self) -> None:
        """Reset both directions now."""
        if not self.over.done():
            self._stream.reset(ResetReason.APP_RESET)
            self._lose(None)
            self._end()

    # --- StreamEnd -----------------------------------------------------------------------------

    def accepted(self) -> None:
        if not self.connected.done():
            self.connected.set_result(None)
            self._protocol.connection_made(self)
            self._deliver()

    def data(self, data: memoryview) -> None:
        if self._closing:
            self._unheard += len(data)
            self._settle()
            return
        self._waiting += data
        self._deliver()

    def ended(self) -> None:
        self._fin_received = True
        self._deliver()
        self._settle()

    def cut(self, reason: ResetReason, detail: str) -> None:
        if not self.connected.done():
            self.connected.set_exception(refused(reason))
        else:
            self._lose(ConnectionResetError(errno.ECONNRESET, in_words(reason)))
        self._end()

    def congested(self) -> None:
        if not self._congested:
            self._congested = True
            self._protocol.pause_writing()

    def relieved(self) -> None:
        if self._congested:
            self._congested = False
            self._protocol.resume_writing()

    def sent(self, size: int) -> None:
        self._queued -= size
        self._settle()

    # -------------------------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Give the protocol what waits, and the end after it."""
        if self._waiting and self.is_reading() and self.connected.done():
            data, self._waiting = bytes(self._waiting), bytearray()
            self._protocol.data_received(data)  # which may pause
            self._stream.consume(len(data))
        if self._fin_received and not (self._fin_told or self._waiting) and self.is_reading():
            self._fin_told = True
            if not self._protocol.eof_received():
                self.close()

    def _settle(self) -> None:
        """After `close`: closed for the protocol when all has left, and over when the far side has ended."""
        if self._closing and not self._queued:
            self._lose(None)
            if self._fin_received and not self.over.done():
                self._stream.consume(self._unheard)
                self._end()
            elif self._unheard > LINGER_BYTES:
                self.abort()

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._waiting.clear()
            self._loop.call_soon(self._protocol.connection_lost, error)

    def _end(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if not self.over.done():
            self.over.set_result(None)
            self._told_over(self)


def refused(reason: ResetReason) -> ConnectionRefusedError:
    """The error for a stream that was not opened. Its `strerror` begins with the reason's token."""
    return ConnectionRefusedError(errno.ECONNREFUSED, in_words(reason))
