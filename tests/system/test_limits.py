"""What relay and agent hold for readers that stop or dawdle: windows, which are paid from the budget."""

import asyncio
import contextlib
import ctypes
import gc
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET

import pytest

from aditus.net.mux import RECEIVE_SIZE, Resources
from aditus.wire.credit import FIRST_WINDOW, MAX_WINDOW, Budget
from aditus.wire.session import CONGESTED_ABOVE
from tests.ends import LOOPBACK, Conversation, Target, free_port, on_linux, resident, until
from tests.world import Site

KIB, MIB = 1 << 10, 1 << 20
STREAMS = 100
BLOCK = bytes(64 * KIB)
QUEUE = CONGESTED_ABOVE + RECEIVE_SIZE
"""Bytes of one stream that may wait for credit in one direction: no budget pays for them."""


class Writer:
    """Says as much as is taken, until it is stopped or cut."""

    def __init__(self, end: Conversation) -> None:
        self.said = 0
        self._end = end
        self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await self._end.send(BLOCK)
                self.said += len(BLOCK)

    async def stalled(self) -> None:
        """Wait until nothing more is taken."""
        said = -1
        while said != self.said:
            said = self.said
            await asyncio.sleep(0.3)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def hear(end: Conversation, size: int) -> None:
    """Read so many bytes."""
    while size > 0:
        piece = await end.some(min(size, len(BLOCK)))
        assert piece, f"the conversation ended {size} bytes too early"
        size -= len(piece)


async def exchange(app: Conversation, there: Conversation, size: int) -> None:
    """Both say so many bytes, and hear them."""

    async def say(end: Conversation) -> None:
        for _ in range(size // len(BLOCK)):
            await end.send(BLOCK)

    await asyncio.gather(say(app), say(there), hear(app, size), hear(there, size))


class Mallinfo2(ctypes.Structure):
    """What glibc's `mallinfo2` returns, in bytes."""

    _fields_ = [
        ("before", ctypes.c_size_t * 4),
        ("hblkhd", ctypes.c_size_t),
        ("between", ctypes.c_size_t * 2),
        ("uordblks", ctypes.c_size_t),
        ("after", ctypes.c_size_t * 2),
    ]


def in_use() -> int:
    """Bytes that this process has allocated and not freed; unlike what is resident, it has no holes."""
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo2
    info = mallinfo2()
    return int(info.uordblks + info.hblkhd)


@on_linux
@pytest.mark.parametrize("stalls", ["app", "service"])
async def test_one_reader_that_stops_among_a_hundred_costs_its_window(tmp_path: Path, stalls: str) -> None:
    async with Site(tmp_path) as site:
        with Target() as service, contextlib.ExitStack() as apps:
            key, port, resources = site.make_key(), free_port(), Resources()
            site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}", resources=resources)
            await site.attached(key)
            pairs = [await site.pair(port, service) for _ in range(STREAMS)]
            for app, _ in pairs:
                apps.enter_context(app)
            (app, there), *others = pairs

            async def the_others_go_on() -> None:
                await asyncio.gather(*(exchange(*pair, 128 * KIB) for pair in others))

            for _ in range(3):  # what the process takes for any stream, it takes now
                await the_others_go_on()
                await exchange(*others[0], 2 * MIB)  # a stream alone has larger frames
            memory = in_use()
            writer = Writer(app if stalls == "service" else there)
            for _ in range(3):
                await the_others_go_on()
            await writer.stalled()
            grown = in_use() - memory
            taken = writer.said
            await the_others_go_on()
            assert writer.said == taken  # it stands still

            await writer.stop()
            receiver = (resources if stalls == "service" else site.resources).budget
            spent = receiver.spent
            (there if stalls == "service" else app).reset()
            await until(lambda: receiver.spent < spent, "that its window is given back")
            window = spent - receiver.spent
            assert FIRST_WINDOW <= window <= MAX_WINDOW
            assert grown < window + MIB, "relay and agent are both in this process"


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("stalls", ["app", "service"])
async def test_a_writer_that_gives_up_on_a_stalled_reader_is_heard(tmp_path: Path, stalls: str) -> None:
    async with Site(tmp_path) as site:
        with Target() as service:
            [port] = await site.offer(key := site.make_key(), service)
            app, there = await site.pair(port, service)
            with app:
                writing = app if stalls == "service" else there
                writer = Writer(writing)
                await writer.stalled()
                await writer.stop()
                writing.reset()
                async with asyncio.timeout(5):
                    while site.tunnels(key)[0].streams:  # noqa: ASYNC110  no event tells a test
                        await asyncio.sleep(0.01)


async def trickle(end: Conversation, rng: random.Random) -> None:
    """Read a little now and then."""
    while await end.some(rng.randrange(1, 64 * KIB)):  # noqa: ASYNC110  that it is slow is the point
        await asyncio.sleep(rng.uniform(0.05, 0.2))


def with_short_buffers(end: Conversation) -> Conversation:
    """So that what is not read waits in the tunnel and not in the kernel."""
    for option in (SO_RCVBUF, SO_SNDBUF):
        end.sock.setsockopt(SOL_SOCKET, option, 64 * KIB)
    return end


@asynccontextmanager
async def dawdling(ends: Sequence[Conversation]) -> AsyncIterator[None]:
    """Meanwhile these write all they can, and read little."""
    writers = [Writer(end) for end in ends]
    readers = [asyncio.create_task(trickle(end, random.Random(n))) for n, end in enumerate(ends)]
    try:
        yield
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for writer in writers:
            await writer.stop()


@on_linux
@pytest.mark.parametrize(
    "streams",
    [
        pytest.param(100),
        pytest.param(1_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_bulk_for_slow_readers_keeps_within_the_budget_however_many_there_are(
    tmp_path: Path, streams: int
) -> None:
    """Both ends of each stream dawdle. The budget pays for all first windows, and for little more."""
    size = streams * FIRST_WINDOW * 8 // 7  # the last eighth is not for growth
    at_relay, at_agent = (Resources(Budget(size)) for _ in range(2))
    site = Site(tmp_path)
    site.resources = at_relay
    async with site:
        with Target() as service, contextlib.ExitStack() as apps:
            key, port = site.make_key(), free_port()
            site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}", resources=at_agent)
            await site.attached(key)
            memory = resident()
            ends: list[Conversation] = []
            for _ in range(streams):
                app, there = await site.pair(port, service)
                ends += [with_short_buffers(apps.enter_context(app)), with_short_buffers(there)]
            most_spent = most_memory = 0

            def all_went_on() -> bool:
                nonlocal most_spent, most_memory
                most_spent = max(most_spent, at_relay.budget.spent, at_agent.budget.spent)
                most_memory = max(most_memory, resident())
                return all(end.heard > 2 * FIRST_WINDOW for end in ends)

            async with dawdling(ends):
                await until(all_went_on, "that every reader has had more than its window")
            assert streams * FIRST_WINDOW <= most_spent <= size
            assert most_memory - memory < 2 * size + 2 * streams * 2 * QUEUE
