"""A TCP reset is heard, also behind bytes that nobody has read, and by whom has paused reading."""

import asyncio
import contextlib
import fcntl
import socket
import sys
import termios
from collections.abc import AsyncIterator
from typing import cast

import aiofastnet
import pytest

from aditus.net import resets
from aditus.net.tcp import LINGER_ZERO
from tests.ends import on_linux, soon

pytestmark = on_linux


class Reader(asyncio.BufferedProtocol):
    """Counts what it reads; watches over its connection as pumps and WebSockets do."""

    def __init__(self) -> None:
        self.read = 0
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray(65_536)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._unwatch = resets.watch(self.transport)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.read += nbytes

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self.lost.set_result(None)


async def connected() -> tuple[Reader, socket.socket]:
    """A reader on aiofastnet's transport, and the plain socket of its peer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    _, reader = await aiofastnet.create_connection(asyncio.get_running_loop(), Reader, sock=ours)
    return reader, peer


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Reader, socket.socket]]:
    reader, peer = await connected()
    with peer:
        yield reader, peer
        reader.transport.abort()
        await soon(reader.lost)


async def test_a_reset_behind_unread_bytes_is_heard_after_them(pair: tuple[Reader, socket.socket]) -> None:
    reader, peer = pair
    peer.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:  # as much as the kernel takes while the loop stands still
            peer.send(bytes(65_536))
    peer.close()
    ours: socket.socket = reader.transport.get_extra_info("socket")
    unread = int.from_bytes(fcntl.ioctl(ours.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)
    assert unread > 0
    await soon(asyncio.shield(reader.lost))
    assert reader.read == unread


async def test_a_reset_is_heard_by_whom_has_paused_reading(pair: tuple[Reader, socket.socket]) -> None:
    reader, peer = pair
    reader.transport.pause_reading()
    peer.close()
    await soon(asyncio.shield(reader.lost))


async def test_an_end_that_is_no_reset_changes_nothing(pair: tuple[Reader, socket.socket]) -> None:
    reader, peer = pair
    reader.transport.pause_reading()
    peer.sendall(b"the last")
    peer.shutdown(socket.SHUT_RDWR)
    await asyncio.sleep(0)
    assert not reader.transport.is_closing()
    reader.transport.resume_reading()
    await soon(asyncio.shield(reader.lost))
    assert reader.read == 8


async def test_one_connections_end_leaves_the_others_watched(pair: tuple[Reader, socket.socket]) -> None:
    reader, peer = pair
    other, other_peer = await connected()
    with other_peer:
        other.transport.abort()
        await soon(other.lost)
    reader.transport.pause_reading()
    peer.close()
    await soon(asyncio.shield(reader.lost))
