"""Both ends of what a tunnel carries, as tests hold them: raw TCP, so that its endings are seen exactly.

An app has a `Conversation`; a `Target` is a service of the private network whose conversations the test
speaks itself. Every wait is bounded by `PATIENCE` seconds.
"""

import asyncio
import os
import random
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import pytest

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds that a test waits for what must come; only a failing test waits for so long."""
LOOPBACK = "127.0.0.1"
IPV6 = "::1"
_RESET = struct.pack("ii", 1, 0)
_PORTS = range(15_000, 32_000)  # below the ephemeral ones: nobody connects to itself there


async def soon(awaitable: Awaitable[T]) -> T:
    """The result, which must come within `PATIENCE`."""
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def until(condition: Callable[[], object], what: str) -> None:
    """Return as soon as the condition holds; fail, saying what did not happen, when it does not."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  of what relays and agents know, no event tells a test
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what}") from None


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Conversation:
    """One TCP connection, as one side sees it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.heard = 0
        """Bytes that were read."""
        self._loop = asyncio.get_running_loop()
        self._was_reset = False

    @classmethod
    async def connect(cls, port: int, host: str = LOOPBACK) -> "Conversation":
        """Connect to a port of this machine. Raises `OSError` as the system does."""
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        try:
            await soon(asyncio.get_running_loop().sock_connect(sock, (host, port)))
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    @property
    def name(self) -> object:
        """The address of this side."""
        return self.sock.getsockname()

    @property
    def peer(self) -> object:
        """The address of the other side, or nothing when it has gone."""
        try:
            return self.sock.getpeername()
        except OSError:
            return None

    async def send(self, data: bytes | memoryview) -> None:
        """Hand all of it to the kernel. Raises `ConnectionError` once the other side has reset."""
        try:
            await self._loop.sock_sendall(self.sock, data)
        except ConnectionError:
            self._was_reset = True
            raise

    async def some(self, limit: int = 262_144) -> bytes:
        """What is there, at least 1 byte; nothing at the end. Raises `ConnectionError` at a reset."""
        if self._was_reset:
            raise ConnectionResetError("it was reset before")
        try:
            piece = await soon(self._loop.sock_recv(self.sock, limit))
            self.heard += len(piece)
            return piece
        except ConnectionError:
            self._was_reset = True
            raise

    async def exactly(self, size: int) -> bytes:
        """The next `size` bytes."""
        got = bytearray()
        while len(got) < size:
            piece = await self.some(size - len(got))
            assert piece, f"the conversation ended after {len(got)} of {size} bytes"
            got += piece
        return bytes(got)

    async def rest(self) -> bytes:
        """All that comes before the other side's clean end."""
        got = bytearray()
        while piece := await self.some():
            got += piece
        return bytes(got)

    async def cut(self) -> bytes:
        """What comes before the other side's reset; a clean end instead of one is a failure."""
        got = bytearray()
        try:
            while piece := await self.some():
                got += piece
        except ConnectionError:
            return bytes(got)
        raise AssertionError(f"a clean end after {len(got)} bytes, where a reset was due")

    async def gone(self) -> bool:
        """Wait for the other side's end, of whatever kind."""
        try:
            while await self.some():
                pass
        except ConnectionError:
            pass
        return True

    def finish(self) -> None:
        """Send no more (half-close)."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()

    def close(self) -> None:
        """Close, as a program does that is done: a reset if something was not read."""
        self.sock.close()

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Target:
    """A service that accepts; what it says, the test says."""

    def __init__(self, host: str = LOOPBACK, port: int = 0, *, backlog: int = 2_048) -> None:
        self._sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self._sock.setblocking(False)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.bind((host, port))
        self._sock.listen(backlog)
        self.port: int = self._sock.getsockname()[1]
        self.accepted: list[Conversation] = []

    async def accept(self) -> Conversation:
        """The next conversation."""
        sock, _ = await soon(asyncio.get_running_loop().sock_accept(self._sock))
        sock.setblocking(False)
        self.accepted.append(Conversation(sock))
        return self.accepted[-1]

    def close(self) -> None:
        """Stop accepting, and end all conversations."""
        self._sock.close()
        for conversation in self.accepted:
            conversation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlackHole(Target):
    """A host that does not answer: its queue of connections is full, so the kernel drops whoever knocks."""

    def __init__(self, host: str = LOOPBACK) -> None:
        super().__init__(host, backlog=0)
        self._only = socket.create_connection((host, self.port))  # all that fits into the queue of Linux

    async def open(self) -> None:
        """Answer from now on; who knocked before is let in when it knocks again, 1 s later at first."""
        (await self.accept()).close()

    @property
    def knocking(self) -> int:
        """How many connections to it are being made now."""
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        syn_sent, address = "02", f"0100007F:{self.port:04X}"
        return sum(row[2:4] == [address, syn_sent] for row in rows)

    def close(self) -> None:
        super().close()
        self._only.close()


class Echo(Target):
    """A service that says everything again, and ends after the other side has ended."""

    def __init__(self, host: str = LOOPBACK, port: int = 0) -> None:
        super().__init__(host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sockets: set[socket.socket] = set()

    async def __aenter__(self) -> "Echo":
        self._spawn(self._accept())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._sockets:  # a task that was cancelled before it began closed none
            sock.close()
        self.close()

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._sock)
            sock.setblocking(False)
            self._sockets.add(sock)
            self._spawn(self._say_again(sock))

    async def _say_again(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with sock:
            try:
                while piece := await loop.sock_recv(sock, 262_144):
                    await loop.sock_sendall(sock, piece)
            except ConnectionError:
                return  # the other side is gone
            finally:
                self._sockets.discard(sock)
            sock.shutdown(socket.SHUT_WR)
            await loop.sock_recv(sock, 1)


_given: set[int] = set()


def free_port() -> int:
    """A port of this machine that nobody listens on, given out once in this process."""
    while True:
        port = random.choice(_PORTS)
        if port in _given:
            continue
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((LOOPBACK, port))
            except OSError:
                continue
        _given.add(port)
        return port
