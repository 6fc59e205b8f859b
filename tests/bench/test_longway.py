"""The long way takes its time, keeps every byte, holds little, and carries ends as they are."""

import asyncio
import hashlib
import os
import random
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests import longway

HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def conversation(rtt_ms: float, mbit: float) -> AsyncIterator[tuple[Streams, Streams]]:
    """An app and a service with a long way between them."""
    came: asyncio.Queue[Streams] = asyncio.Queue()
    service = await asyncio.start_server(lambda *streams: came.put_nowait(streams), HOST, 0)
    async with (
        service,
        longway.serve(0, service.sockets[0].getsockname()[1], rtt_ms=rtt_ms, mbit=mbit) as port,
    ):
        app = await asyncio.open_connection(HOST, port)
        far = await came.get()
        yield app, far
        for _, writer in (app, far):
            writer.transport.abort()


async def test_a_question_and_its_answer_take_the_round_trip() -> None:
    async with conversation(rtt_ms=80, mbit=500) as ((from_far, to_far), (from_app, to_app)):
        began = time.monotonic()
        to_far.write(b"?")
        assert await from_app.readexactly(1) == b"?"
        half = time.monotonic()
        to_app.write(b"!")
        assert await from_far.readexactly(1) == b"!"
        assert half - began >= 0.038
        assert time.monotonic() - began >= 0.077


async def test_bulk_is_exact_and_no_faster_than_the_rate() -> None:
    data = random.Random(1).randbytes(4_000_000)
    async with conversation(rtt_ms=20, mbit=160) as ((_, to_far), (from_app, _)):
        began = time.monotonic()
        to_far.write(data)
        to_far.write_eof()
        got = await from_app.read()
        took = time.monotonic() - began
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    assert took >= 0.2 * 0.98, "4 MB at 20 MB/s"


async def test_an_end_of_one_direction_leaves_the_other_open() -> None:
    async with conversation(rtt_ms=20, mbit=500) as ((from_far, to_far), (from_app, to_app)):
        to_far.write(b"the last word")
        to_far.write_eof()
        assert await from_app.read() == b"the last word"
        to_app.write(b"heard")
        to_app.write_eof()
        assert await from_far.read() == b"heard"


async def test_a_reset_arrives_as_a_reset() -> None:
    async with conversation(rtt_ms=20, mbit=500) as ((_, to_far), (from_app, _)):
        sock: socket.socket = to_far.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        to_far.transport.abort()
        with pytest.raises(ConnectionResetError):
            await from_app.read()


async def test_who_is_not_read_from_can_send_no_more_than_the_way_holds() -> None:
    async with conversation(rtt_ms=40, mbit=80) as ((_, to_far), (_, to_app)):
        to_app.transport.pause_reading()  # type: ignore[attr-defined]  # a reader that has stopped
        sock: socket.socket = to_far.get_extra_info("socket").dup()
        with sock:
            sock.setblocking(False)
            sent = 0
            last = time.monotonic()
            while time.monotonic() - last < 0.5:  # it is full when nothing went for so long
                try:
                    sent += sock.send(os.urandom(65_536))
                    last = time.monotonic()
                except BlockingIOError:
                    await asyncio.sleep(0.01)
    held = 0.02 * 80e6 / 8 + longway.QUEUE
    kernel = 8_000_000  # of both ends' own sockets, which size themselves
    assert sent < held + 4 * longway.BUFFER + kernel


async def test_who_finds_nobody_is_reset() -> None:
    with socket.create_server((HOST, 0)) as nobody:
        port = nobody.getsockname()[1]
    async with longway.serve(0, port, rtt_ms=10, mbit=500) as listening:
        reader, writer = await asyncio.open_connection(HOST, listening)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_who_is_talking_when_it_ends_is_reset() -> None:
    came: asyncio.Queue[Streams] = asyncio.Queue()
    async with await asyncio.start_server(lambda *streams: came.put_nowait(streams), HOST, 0) as service:
        async with longway.serve(0, service.sockets[0].getsockname()[1], rtt_ms=10, mbit=500) as port:
            from_far, to_far = await asyncio.open_connection(HOST, port)
            from_app, _ = await came.get()
            to_far.write(b"?")
            assert await from_app.readexactly(1) == b"?"
        for reader in (from_far, from_app):
            with pytest.raises(ConnectionResetError):
                await reader.read()
