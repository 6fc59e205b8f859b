"""A long way: a TCP proxy with a delay, a rate and short buffers, as a process for tests and benches.

    python -m tests.longway LISTEN TARGET --rtt-ms 100 --mbit 500

Between 127.0.0.1:LISTEN and 127.0.0.1:TARGET every byte takes half the round-trip time in each direction, and
all connections share the rate of each direction. A direction holds what is under way at that rate, and
`QUEUE` bytes that wait for their turn: whoever sends more has to wait. Ends travel as bytes do: an EOF behind
what was sent before it, a reset ahead of all that. The handshake of TCP is not delayed.
"""

import argparse
import asyncio
import signal
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

HOST = "127.0.0.1"
QUEUE = 262_144
"""Bytes that may wait for their turn, in each direction: what a router on the way would hold."""
BUFFER = 131_072
"""Bytes that the kernel and asyncio hold for each socket: more would be a second queue behind the first."""
TICK = 0.001
"""Seconds; what is due this soon goes now, since timers are no finer."""
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


@dataclass(slots=True)
class Lane:
    """One direction of the way, shared by all connections. `free_at`: when the next byte can set out."""

    delay: float  # seconds
    rate: float  # bytes per second
    free_at: float = 0.0

    def due(self, size: int, now: float) -> float:
        """When `size` bytes that come now have arrived at the other side."""
        self.free_at = max(self.free_at, now) + size / self.rate
        return self.free_at + self.delay

    def full_for(self, now: float) -> float:
        """Seconds until the queue is short enough to take more, 0 if it is."""
        return max(0.0, self.free_at - now - QUEUE / self.rate)

    @property
    def capacity(self) -> float:
        """Bytes that are under way, or wait for their turn, when it is full."""
        return self.delay * self.rate + QUEUE


class End(asyncio.Protocol):
    """One socket of a pair: it puts what it reads on its lane, for the other end to write when it is due."""

    def __init__(self, lane: Lane, living: "set[End]") -> None:
        """`living` has it while it is connected."""
        self.is_lost = asyncio.Event()
        self._living = living
        self._loop = asyncio.get_running_loop()
        self._lane = lane
        self._transport: asyncio.Transport | None = None
        self._other: End | None = None
        self._under_way: deque[tuple[float, bytes]] = deque()  # towards the other end; b"" is the EOF
        self._held = 0  # bytes of it
        self._timer: asyncio.TimerHandle | None = None  # until the first of them is due
        self._pause: asyncio.TimerHandle | None = None  # until the lane takes more
        self._is_writable = True
        self._has_read_eof = self._has_written_eof = False

    def join(self, other: "End") -> None:
        """Make a pair and begin to read; both are connected, or were."""
        self._other, other._other = other, self
        for end in (self, other):
            if end._transport is None:
                (other if end is self else self).reset()
            end._read_on()

    def reset(self) -> None:
        """End this connection with a reset."""
        if self._transport is not None:
            sock: socket.socket = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()

    # --- what asyncio tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.set_write_buffer_limits(high=BUFFER)
        transport.pause_reading()
        self._transport = transport
        self._living.add(self)

    def data_received(self, data: bytes) -> None:
        self._set_out(data)

    def eof_received(self) -> bool:
        self._has_read_eof = True
        self._set_out(b"")
        return True  # the other direction goes on

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        if self._other is not None:
            self._other._arrive()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._living.discard(self)
        self.is_lost.set()
        for timer in (self._timer, self._pause):
            if timer is not None:
                timer.cancel()
        if self._other is not None and not (self._has_read_eof and self._has_written_eof):
            self._loop.call_later(self._lane.delay, self._other.reset)

    # --- the way ---

    def _set_out(self, data: bytes) -> None:
        self._under_way.append((self._lane.due(len(data), self._loop.time()), data))
        self._held += len(data)
        if self._timer is None:
            self._arrive()
        self._read_on()

    def _read_on(self) -> None:
        """Read while there is room: not when the lane's queue is full, nor when a reader is slow."""
        if self._transport is None or self._pause is not None:
            return
        wait = self._lane.full_for(self._loop.time())
        if wait > 0:
            self._pause = self._loop.call_later(wait, self._after_pause)
        if wait > 0 or self._held > self._lane.capacity:  # of which `_arrive` makes an end
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _after_pause(self) -> None:
        self._pause = None
        self._read_on()

    def _arrive(self) -> None:
        """Give the other end all that is due, and come back when the next piece is."""
        self._timer = None
        other = self._other
        while self._under_way and other is not None and other._is_writable:
            due, data = self._under_way[0]
            if due > self._loop.time() + TICK:
                self._timer = self._loop.call_at(due, self._arrive)
                break
            self._under_way.popleft()
            self._held -= len(data)
            other._write(data)
        self._read_on()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            return
        if data:
            self._transport.write(data)
            return
        try:
            self._transport.write_eof()
        except OSError:  # reset by its peer a moment ago, which shows at the next read
            return
        self._has_written_eof = True
        if self._has_read_eof:
            self._transport.close()


@asynccontextmanager
async def serve(listen: int, target: int, *, rtt_ms: float, mbit: float) -> AsyncIterator[int]:
    """Lead 127.0.0.1:`listen` (0: any free port) to 127.0.0.1:`target` over a way of this length and rate.

    The value is the port. With the block ends every connection, by a reset.
    """
    loop = asyncio.get_running_loop()
    there, back = (Lane(delay=rtt_ms / 2_000, rate=mbit * 1e6 / 8) for _ in range(2))
    dials: set[asyncio.Task[None]] = set()
    ends: set[End] = set()

    async def dial(app: End) -> None:
        sock = _socket()
        try:
            await loop.sock_connect(sock, (HOST, target))
            _, far = await loop.create_connection(lambda: End(back, ends), sock=sock)
        except OSError:  # nobody is there, as it would be without us
            sock.close()
            app.reset()
        except asyncio.CancelledError:
            sock.close()
            raise
        else:
            app.join(far)

    def accept() -> End:
        app = End(there, ends)
        task = loop.create_task(dial(app))
        dials.add(task)
        task.add_done_callback(dials.discard)
        return app

    listener = _socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, listen))
    async with await loop.create_server(accept, sock=listener):
        try:
            yield listener.getsockname()[1]
        finally:
            for task in dials:
                task.cancel()
            await asyncio.gather(*dials, return_exceptions=True)
            for end in list(ends):
                end.reset()
                await end.is_lost.wait()


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return sock


async def _main() -> None:
    parser = argparse.ArgumentParser(description="A TCP proxy with a delay and a rate.")
    parser.add_argument("listen", type=int, metavar="LISTEN", help="port of 127.0.0.1")
    parser.add_argument("target", type=int, metavar="TARGET", help="port of 127.0.0.1")
    parser.add_argument("--rtt-ms", type=float, default=100.0, metavar="MS")
    parser.add_argument("--mbit", type=float, default=500.0, metavar="MBIT", help="in each direction")
    given = parser.parse_args()
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    async with serve(given.listen, given.target, rtt_ms=given.rtt_ms, mbit=given.mbit):
        await over.wait()


if __name__ == "__main__":
    asyncio.run(_main())
