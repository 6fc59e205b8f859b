"""The pump between one TCP connection and one stream: bytes both ways, credit, and truthful endings.

A `Pump` is the protocol of the TCP transport and the `StreamEnd` of the stream. It has no task of its
own: the loop calls it when bytes arrive on either side.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from aditus.net import resets, tcp
from aditus.net.mux import MuxStream
from aditus.wire.errors import ResetReason

_DRAIN_BELOW = 32_768
"""Bytes in the TCP write buffer at which the credit of what was written meanwhile goes back."""

_UNHEARD = memoryview(bytearray(4_096))
"""Where the bytes of a refused connection go until it is reset; nobody reads them."""


class Pump(asyncio.BufferedProtocol):
    """Carries one conversation. Bind it to its stream before data may arrive on either side."""

    def __init__(self, reset_reason: ResetReason) -> None:
        self._reset_reason = reset_reason  # what a reset of the TCP side is called
        self._stream: MuxStream | None = None
        self._transport: asyncio.Transport | None = None
        self._unwatch: Callable[[], None]
        self._early = bytearray()  # came before `_flow`; at most the first window
        self._flows = False
        self._unconsumed = 0  # bytes whose credit was not returned yet
        self._fin_sent = False
        self._fin_received = False
        self.dead = False
        """Whether this conversation was cut: its TCP side ends, or will end, with a reset."""

    def bind(self, stream: MuxStream) -> None:
        """Tie the pump to its stream; done once."""
        self._stream = stream

    def greet(self, words: bytes) -> None:
        """Within `connection_made`: what the TCP side gets before all that comes out of the stream."""
        self._early[:0] = words

    # --- the TCP side --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection. Whoever overrides it closes nothing and writes nothing: see `_later`."""
        self._transport = transport = cast(asyncio.Transport, transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        reset_on_close(transport)  # from now on: this process may be killed at any moment
        transport.set_write_buffer_limits(_DRAIN_BELOW, _DRAIN_BELOW)
        self._unwatch = resets.watch(transport)
        if self.dead:
            self._later(self.abort)
        else:
            self._later(self._flow)

    def _later(self, step: Callable[[], None]) -> None:
        """Take this step a turn after `connection_made`.

        Right after it aiofastnet begins to watch the descriptor, also if the transport was closed meanwhile
        (by a write that failed, too). Nobody would end that watch, and the next connection with the same
        number would never be heard; uvloop even aborts the process.
        """
        asyncio.get_running_loop().call_soon(step)

    def refuse(self) -> None:
        """Within `connection_made`: there is no stream for this connection. It is reset."""
        self.dead = True
        self._later(self.abort)

    def _flow(self) -> None:
        """Pass on what came early, and from now on all that comes."""
        if self.dead or self._transport is None:
            return
        self._flows = True
        if self._early:
            early, self._early = self._early, bytearray()
            self._transport.write(early)
            self._settle()
        if self._fin_received:
            self._end_writing()

    def get_buffer(self, sizehint: int) -> memoryview:
        return _UNHEARD if self._stream is None else self._stream.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if not self.dead:
            stream = cast(MuxStream, self._stream)
            stream.send(stream.receive_buffer[:nbytes])

    def eof_received(self) -> bool:
        if self._stream is None or self.dead:
            return False
        self._fin_sent = True
        self._stream.finish()
        self._close_if_done()
        return True  # half-close: the other direction goes on

    def pause_writing(self) -> None:
        """The write buffer is above its mark. Nothing to do: credit bounds it."""

    def resume_writing(self) -> None:
        self._settle()
        if self._fin_received and not self._fin_sent:
            self._shut_down()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        if not self.dead and self._stream is not None:
            if exc is None and self._fin_sent and self._fin_received:
                self._settle()
                reset_on_close(cast(asyncio.Transport, self._transport), False)
            else:
                self.dead = True
                self._stream.reset(self._reset_reason)
        self.dead = True
        self._transport = None

    # --- the stream's side ---------------------------------------------------------------------

    def data(self, data: memoryview) -> None:
        """Bytes for the TCP side."""
        self._unconsumed += len(data)
        if not self._flows or self._transport is None:
            self._early += data
            return
        self._transport.write(data)
        self._settle()

    def accepted(self) -> None:
        """The far side is connected. Nothing to do: its bytes speak for themselves."""

    def ended(self) -> None:
        """No more bytes for the TCP side: FIN after what is buffered."""
        self._fin_received = True
        if self._flows:
            self._end_writing()

    def cut(self, reason: ResetReason, detail: str) -> None:
        """The stream is gone: reset the TCP connection, whatever waits in it."""
        self.abort()

    def congested(self) -> None:
        """The stream takes no more for now."""
        if self._transport is not None and not self._fin_sent:
            self._transport.pause_reading()

    def sent(self, size: int) -> None:
        """Bytes left. Nothing to do: what waits is bounded by `congested`."""

    def relieved(self) -> None:
        """The stream takes more."""
        if self._transport is not None and not self._fin_sent:
            self._transport.resume_reading()

    def abort(self) -> None:
        """End the TCP connection with a reset, now or as soon as there is one."""
        self.dead = True
        if self._transport is not None:
            self._transport.abort()

    # -------------------------------------------------------------------------------------------

    def _end_writing(self) -> None:
        """Send FIN to the TCP side, as soon as nothing waits to be written."""
        if self._transport is None:
            return
        self._transport.set_write_buffer_limits(0, 0)  # from now on `resume_writing` means: all is written
        self._close_if_done()
        if not self._fin_sent and not self._transport.get_write_buffer_size():
            self._shut_down()

    def _shut_down(self) -> None:
        # Not `transport.write_eof`: it raises, in a callback of its own at worst, when the peer has reset.
        try:
            cast(asyncio.Transport, self._transport).get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError:
            cast(MuxStream, self._stream).reset(self._reset_reason)
            self.abort()

    def _close_if_done(self) -> None:
        if self._flows and self._fin_sent and self._fin_received and self._transport is not None:
            self._transport.close()

    def _settle(self) -> None:
        """Return the credit of what the kernel has taken since the last time."""
        waiting = self._transport.get_write_buffer_size() if self._transport is not None else 0
        consumed = self._unconsumed - waiting
        if consumed > 0 and self._stream is not None:
            self._unconsumed = waiting
            self._stream.consume(consumed)


def reset_on_close(transport: asyncio.BaseTransport, wanted: bool = True) -> None:
    """Choose how the close of this connection looks to its peer: as a TCP reset, or as a clean end.

    A close is a clean end by default, also that of `abort` and of a process that is killed.
    """
    sock: socket.socket = transport.get_extra_info("socket")
    with contextlib.suppress(OSError):  # macOS: the peer was faster, and it is reset already
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, tcp.LINGER_ZERO if wanted else tcp.LINGER_OFF)
