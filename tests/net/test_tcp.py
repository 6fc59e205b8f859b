"""Connecting to targets and listening for apps, so that nothing is left behind and nobody is misled."""

import asyncio
import contextlib
import resource
import socket
import time
from pathlib import Path

import pytest

from aditus.net import tcp
from aditus.net.pump import Pump
from aditus.wire.errors import ResetReason
from tests.ends import IPV6, LOOPBACK, BlackHole, Conversation, Target, free_port, on_linux, until
from tests.recorded import RecordedStream


class Picky(Pump):
    """Refuses every other connection; of the rest it notes what they say."""

    def __init__(self, made: "list[Picky]") -> None:
        super().__init__(ResetReason.APP_RESET)
        self.made = made
        self.stream = RecordedStream()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.made.append(self)
        if len(self.made) % 2:
            self.refuse()
        else:
            self.bind(self.stream)


async def test_a_refused_connection_does_not_deafen_the_next_one() -> None:
    made: list[Picky] = []
    port = free_port()
    server = await tcp.listen(LOOPBACK, port, lambda: Picky(made))
    for _ in range(5):
        with await Conversation.connect(port) as refused:
            await refused.send(b"let me in")
            assert await refused.cut() == b""
        with await Conversation.connect(port) as app:
            await app.send(b"hello")
            await until(lambda: made[-1].stream.said == b"hello", "the app's word")
            made[-1].abort()
            assert await app.cut() == b""
    server.close()


async def test_a_listener_that_finishes_takes_those_who_wait_and_nobody_after_them() -> None:
    port, made = free_port(), list[Picky]()
    server = await tcp.listen(LOOPBACK, port, lambda: Picky(made))
    waiting = [socket.create_connection((LOOPBACK, port)) for _ in range(3 * tcp.ACCEPTED_AT_ONCE)]
    await server.finish()
    assert len(made) == len(waiting)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port))
    for sock in waiting:
        sock.close()
    for pump in made:
        pump.abort()


async def test_a_connection_that_nobody_took_from_a_closed_listener_is_reset() -> None:
    port = free_port()
    server = await tcp.listen(LOOPBACK, port, lambda: Picky([]))
    sock = socket.create_connection((LOOPBACK, port))  # the kernel has accepted it, the loop has not
    server.close()
    sock.setblocking(False)
    with Conversation(sock) as app:
        assert await app.cut() == b""


@pytest.mark.parametrize("turns", range(6))
async def test_a_dial_that_is_cancelled_at_any_moment_leaves_no_connection(turns: int) -> None:
    """Even where the target has accepted: it meets a reset, not a clean end."""
    with Target() as target:
        pump = Pump(ResetReason.TARGET_RESET)
        pump.bind(RecordedStream())
        dial = asyncio.create_task(tcp.connect(LOOPBACK, target.port, pump))
        for _ in range(turns):
            await asyncio.sleep(0)
        pump.cut(ResetReason.REVOKED, "")
        dial.cancel()
        await asyncio.gather(dial, return_exceptions=True)
        with await Conversation.connect(target.port) as last:
            await last.send(b"the last one")
            while (there := await target.accept()).peer != last.name:
                assert await there.cut() == b""  # the dial had come so far


@pytest.mark.asyncio(loop_factories=["asyncio"])  # whose answers a test can give
@pytest.mark.parametrize("first", ["refuses", "does not answer"])
async def test_the_next_address_of_a_name_is_tried(first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with BlackHole() as hole, Target() as target:
        dead = hole.port if first == "does not answer" else free_port()
        answers(monkeypatch, (LOOPBACK, dead), (LOOPBACK, target.port))
        pump = Pump(ResetReason.TARGET_RESET)
        pump.bind(RecordedStream())
        began = time.monotonic()
        await tcp.connect("database.internal", 5432, pump)
        assert time.monotonic() - began < 1
        there = await target.accept()
        assert not hole.knocking
        pump.abort()
        assert await there.cut() == b""


@pytest.mark.asyncio(loop_factories=["asyncio"])
async def test_addresses_of_both_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three dead ones of IPv6 do not cost three waits before IPv4 is tried."""
    with BlackHole(IPV6) as hole, Target() as target:
        answers(monkeypatch, *[(IPV6, hole.port)] * 3, (LOOPBACK, target.port))
        began = time.monotonic()
        (await tcp.dial("database.internal", 5432)).close()
        assert time.monotonic() - began < 2 * tcp.NEXT_ADDRESS_SECONDS + 0.2


@pytest.mark.asyncio(loop_factories=["asyncio"])
@pytest.mark.parametrize("turns", range(8))
async def test_a_race_that_is_cancelled_at_any_moment_leaves_no_connection(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Target(IPV6) as target, BlackHole() as hole:
        answers(monkeypatch, (LOOPBACK, hole.port), (IPV6, target.port))
        dial = asyncio.create_task(tcp.dial("database.internal", 5432))
        if turns:
            await until(lambda: hole.knocking, "the first address is tried")
        await asyncio.sleep(tcp.NEXT_ADDRESS_SECONDS if turns > 3 else 0)
        for _ in range(turns % 4):
            await asyncio.sleep(0)
        dial.cancel()
        for left in await asyncio.gather(dial, return_exceptions=True):
            if isinstance(left, socket.socket):
                left.close()
        assert not hole.knocking


def answers(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Every name has these addresses, in this order."""

    async def answer(*_: object, **__: object) -> list[object]:
        families = [socket.AF_INET6 if ":" in host else socket.AF_INET for host, _ in addresses]
        return [(one, socket.SOCK_STREAM, 6, "", to) for one, to in zip(families, addresses, strict=True)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answer)


async def test_why_no_address_answered_is_told() -> None:
    pump = Pump(ResetReason.TARGET_RESET)
    with pytest.raises(ConnectionRefusedError):
        await tcp.connect(LOOPBACK, free_port(), pump)
    with pytest.raises(socket.gaierror):
        await tcp.connect("nowhere.invalid", 80, pump)
    with BlackHole() as target, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await tcp.connect(LOOPBACK, target.port, pump)


async def test_a_taken_port_is_known_at_once() -> None:
    with Target() as program, pytest.raises(OSError, match="in use"):
        await tcp.listen(LOOPBACK, program.port, lambda: Pump(ResetReason.APP_RESET))


@on_linux
async def test_without_a_descriptor_left_who_knocks_is_reset_and_nothing_spins(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[Picky] = [Picky([])]  # so that the next one is not refused
    port = free_port()
    server = await tcp.listen(LOOPBACK, port, lambda: Picky(made))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 20, limits[1]))
    apps: list[Conversation] = []
    try:
        with contextlib.suppress(OSError):
            while True:  # the kernel accepts them all, and takes the last descriptor
                sock = socket.create_connection((LOOPBACK, port))
                sock.setblocking(False)
                apps.append(Conversation(sock))
        for app in apps:
            assert await app.cut() == b""
        for app in apps:
            app.close()
        assert made[1:] == []
        assert [record.levelname for record in caplog.records] == ["ERROR"]  # once, and not for each of them
        with await Conversation.connect(port) as app:
            await app.send(b"there is room again")
            await until(lambda: made[-1].stream.said == b"there is room again", "the app's word")
            made[-1].abort()
            assert await app.cut() == b""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        server.close()


def descriptors() -> list[int]:
    return [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
