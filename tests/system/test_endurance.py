"""What wears a tunnel out: links that break at any byte, a silent network, streams that come and go."""

import asyncio
import contextlib
import gc
import hashlib
import logging
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from struct import Struct
from typing import Literal, cast

import pytest

from aditus.net.mux import Resources
from tests.breaker import Breaker, Fate
from tests.conftest import FULL, open_files
from tests.ends import LOOPBACK, Conversation, Echo, Target, free_port, on_linux, resident, until
from tests.world import Key, Running, Site

KIB, MIB = 1 << 10, 1 << 20
WARM = 1_500
"""Streams after which the process and its allocator have taken what they take for any number."""
NOISE = random.Random(3).randbytes(MIB)
KNOCK_AGAIN = 0.005
"""Seconds that an app waits after it was refused or cut."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


async def at_once(_delay: float) -> None:
    """How agents of these tests wait before they dial again."""
    await asyncio.sleep(0)


def persistent(site: Site, key: Key, breaker: Breaker, *specs: str, resources: Resources) -> Running:
    """An agent that dials through the breaker, and never gives up."""
    return site.start_agent(
        key, *specs, proxy=breaker.url, pause=at_once, infinite_retries=True, resources=resources
    )


# --- bytes -----------------------------------------------------------------------------------------------


HEAD = Struct("!IQQ")  # what an app says first: the seed of all that follows, bytes up, bytes down


def said(seed: int, size: int) -> Iterator[memoryview]:
    """What is said in one direction: pieces of the noise, the same for the same seed."""
    rng, noise = random.Random(seed), memoryview(NOISE)
    while size:
        start = rng.randrange(MIB - 64 * KIB)
        piece = noise[start : start + min(size, rng.randrange(1, 64 * KIB))]
        size -= len(piece)
        yield piece


async def pour(conversation: Conversation, seed: int, size: int) -> None:
    """Say it all, and FIN."""
    for piece in said(seed, size):
        await conversation.send(piece)
    conversation.finish()


async def drink(conversation: Conversation, seed: int, size: int) -> None:
    """Read to the clean end, which comes after all of it, and not before."""
    heard, count = hashlib.sha256(), 0
    while piece := await conversation.some():
        heard.update(piece)
        count += len(piece)
    meant = hashlib.sha256()
    for view in said(seed, size):
        meant.update(view)
    assert count == size, f"a clean end after {count} of {size} bytes"
    assert heard.digest() == meant.digest()


class Transfers:
    """Apps that move bytes both ways through one port, and what became of them."""

    def __init__(self, port: int, service: Target) -> None:
        self.up = self.down = 0
        """Bytes that were heard to their clean end, by the service and by apps."""
        self.cut = 0
        """Conversations that ended with a reset for the app."""
        self._port = port
        self._service = service
        self._over = False

    async def run(self, apps: int, size: int) -> None:
        """Until so many bytes have arrived whole, in both directions together."""
        async with asyncio.TaskGroup() as services:
            services.create_task(self._accept(services))
            async with asyncio.TaskGroup() as group:
                for number in range(apps):
                    group.create_task(self._come(random.Random(number), size))
            self._over = True  # a cancelled accept would lose the socket that it is just given
            (await Conversation.connect(self._service.port)).reset()

    async def _come(self, rng: random.Random, size: int) -> None:
        while self.up + self.down < size:
            seed, up, down = rng.getrandbits(32), *(int(2 ** rng.uniform(8, 18)) for _ in range(2))
            try:
                app = await Conversation.connect(self._port)
            except ConnectionError:
                await asyncio.sleep(KNOCK_AGAIN)
                continue
            with app:
                try:
                    await app.send(HEAD.pack(seed, up, down))
                    await both(pour(app, seed, up), self._drink(app, "down", ~seed, down))
                except ConnectionError:
                    self.cut += 1

    async def _accept(self, services: asyncio.TaskGroup) -> None:
        while not self._over:
            services.create_task(self._serve(await self._service.accept()))

    async def _serve(self, there: Conversation) -> None:
        with there, contextlib.suppress(ConnectionError):  # the app sees it, too
            seed, up, down = HEAD.unpack(await there.exactly(HEAD.size))
            await both(pour(there, ~seed, down), self._drink(there, "up", seed, up))

    async def _drink(self, end: Conversation, way: Literal["up", "down"], seed: int, size: int) -> None:
        await drink(end, seed, size)
        if way == "up":
            self.up += size
        else:
            self.down += size


async def both(*works: Coroutine[None, None, None]) -> None:
    """Do both to their ends. What was asserted is raised before what the network did."""
    failures = [end for end in await asyncio.gather(*works, return_exceptions=True) if end is not None]
    for failure in sorted(failures, key=lambda end: isinstance(end, ConnectionError)):
        raise failure


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(32 * MIB, id="32 MiB"),
        pytest.param(
            (2_048 if FULL else 256) * MIB, id="2 GiB" if FULL else "256 MiB",
            marks=[pytest.mark.slow, pytest.mark.timeout(900)],
        ),
    ],
)  # fmt: skip
async def test_whatever_ends_well_is_exact_and_nothing_is_cut_short_unseen(site: Site, size: int) -> None:
    """Fifty streams both ways, and a link that breaks every few MiB, at any byte."""
    rng = random.Random(11)
    async with Breaker() as breaker:
        with Target() as service:
            breaker.fate = lambda: Fate(rng.randrange(1, 12 * MIB))
            resources, port = Resources(), free_port()
            spec = f"{port}:{LOOPBACK}:{service.port}"
            persistent(site, site.make_key(), breaker, spec, resources=resources)
            transfers = Transfers(port, service)
            await transfers.run(50, size)
            assert transfers.up > size / 4
            assert transfers.down > size / 4
            assert breaker.cuts >= size // (8 * MIB)
            assert transfers.cut > 10  # conversations met these cuts, and began again
            await until(lambda: not site.resources.budget.spent, "that the relay holds no window")
            await until(lambda: not resources.budget.spent, "that the agent holds no window")


# --- links -----------------------------------------------------------------------------------------------


async def chat(port: int, rng: random.Random) -> None:
    """Come to an echo again and again, and hear what was said or a reset."""
    while True:
        try:
            with await Conversation.connect(port) as app:
                for _ in range(rng.randrange(1, 8)):
                    word = NOISE[: rng.randrange(1, 32 * KIB)]
                    await app.send(word)
                    assert await app.exactly(len(word)) == word
        except ConnectionError:
            await asyncio.sleep(KNOCK_AGAIN)


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param(50),
        pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_however_a_link_breaks_an_agent_is_there_once_and_serves_again(site: Site, cuts: int) -> None:
    """Two agents of one key, whose links break in handshakes and in frames; some unseen by the relay."""
    rng = random.Random(5)
    async with Breaker() as breaker, Echo() as echo:
        breaker.fate = lambda: Fate(int(2 ** rng.uniform(8, 20)), told=rng.random() < 0.7)
        key, port, resources = site.make_key(), free_port(), Resources()
        spec = f"{port}:{LOOPBACK}:{echo.port}"
        agents = [persistent(site, key, breaker, spec, resources=resources) for _ in range(2)]
        chats = [asyncio.create_task(chat(port, random.Random(number))) for number in range(8)]
        instances: set[tuple[str, int]] = set()

        def each_is_there_once() -> bool:
            there = Counter((view.instance, view.slot) for view in site.tunnels(key))
            assert all(count == 1 for count in there.values()), there
            instances.update(there)
            return breaker.cuts >= cuts

        async with asyncio.timeout(cuts):
            while not each_is_there_once():
                assert all(not talk.done() for talk in chats)
                await asyncio.sleep(0.001)
        for talk in chats:
            talk.cancel()
        ends = await asyncio.gather(*chats, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends

        breaker.fate = Fate
        await site.attached(key, 2)
        assert len(instances) == 2  # and never another
        assert all(agent.runs for agent in agents)
        await until(lambda: not site.relay.live_streams(), "that what was cut is over")
        with await site.app(port) as app:
            await app.send(b"still there?")
            assert await app.exactly(12) == b"still there?"
        await until(lambda: not site.resources.budget.spent, "that the relay holds no window")
        await until(lambda: not resources.budget.spent, "that the agents hold no window")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_network_that_falls_silent_is_noticed_by_both_within_45_s(site: Site) -> None:
    """No reset, no end: what is sent is never answered. One link is idle then, and one in full flow."""
    noticed: dict[str, float] = {}
    go_on = asyncio.Event()
    async with Breaker() as breaker:
        with Target() as quiet, Target() as busy:
            ports, keys, pairs = {}, {}, {}
            for name, service in (("quiet", quiet), ("busy", busy)):

                async def pause(_delay: float, who: str = f"agent, {name}") -> None:
                    noticed.setdefault(who, time.monotonic())
                    await go_on.wait()

                keys[name], ports[name] = site.make_key(name), free_port()
                spec = f"{ports[name]}:{LOOPBACK}:{service.port}"
                site.start_agent(keys[name], spec, proxy=breaker.url, pause=pause)
                await site.attached(keys[name])
                pairs[name] = app, there = await site.pair(ports[name], service)
                await app.send(b"x")
                assert await there.exactly(1) == b"x"
            writers = [asyncio.create_task(end.send(bytes(256 * MIB))) for end in pairs["busy"]]
            for end in pairs["busy"]:
                await drain(end, 8 * MIB)

            silent_since = time.monotonic()
            breaker.vanish()
            async with asyncio.timeout(60):
                while len(noticed) < 4:
                    for name, key in keys.items():
                        if not site.tunnels(key):
                            noticed.setdefault(f"relay, {name}", time.monotonic())
                    await asyncio.sleep(0.05)
            took = {who: moment - silent_since for who, moment in noticed.items()}
            assert all(40 < seconds < 46 for seconds in took.values()), took
            for app, there in pairs.values():
                await app.cut()
                await there.cut()
            ends = await asyncio.gather(*writers, return_exceptions=True)
            assert all(isinstance(end, ConnectionError) for end in ends), ends

            go_on.set()
            for name, service in (("quiet", quiet), ("busy", busy)):
                await site.attached(keys[name])
                app, there = await site.pair(ports[name], service)
                with app:
                    await app.send(b"again")
                    assert await there.exactly(5) == b"again"
            for app, _ in pairs.values():
                app.close()


async def drain(end: Conversation, size: int) -> None:
    """Read so many bytes, whatever they are."""
    while size > 0:
        piece = await end.some()
        assert piece, f"the conversation ended {size} bytes too early"
        size -= len(piece)


# --- streams ---------------------------------------------------------------------------------------------


class BriefEcho(Echo):
    """An echo that remembers nothing of whom it has served."""

    @property
    def talking(self) -> int:
        """Conversations that are not over."""
        return len(self._tasks) - 1  # the other one accepts

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        super()._spawn(self._kept(work))

    async def _kept(self, work: Coroutine[object, object, None]) -> None:
        try:
            with contextlib.suppress(ConnectionError):
                await work
        finally:
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))


async def come_and_go(port: int, rng: random.Random) -> None:
    """One conversation of the many, which ends in one of the ways in which they do."""
    word, end = rng.randbytes(rng.randrange(1, 2_000)), rng.choice(["finish", "reset", "close", "leave"])
    with await Conversation.connect(port) as app:
        await app.send(word)
        if end == "leave":  # while the target is being dialled
            return
        assert await app.exactly(len(word)) == word
        if end == "finish":
            app.finish()
            assert await app.rest() == b""
        elif end == "reset":
            app.reset()


async def be_refused(port: int) -> None:
    """A conversation with a service that is not there."""
    try:
        app = await Conversation.connect(port)
    except ConnectionResetError:
        return  # so soon
    with app:
        assert await app.cut() == b""


@on_linux
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(1_000),
        pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_streams_that_come_and_go_leave_nothing_behind(
    site: Site, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    caplog.set_level(logging.ERROR, "aditus")  # pytest keeps what is logged
    rng = random.Random(2)
    resources, echo = Resources(), BriefEcho()
    async with echo:
        key, port, refused = site.make_key(), free_port(), free_port()
        specs = (f"{port}:{LOOPBACK}:{echo.port}", f"{refused}:{LOOPBACK}:{free_port()}")
        site.start_agent(key, *specs, resources=resources)
        await site.attached(key)

        async def waves(count: int) -> None:
            for _ in range(count // 50):
                async with asyncio.TaskGroup() as wave:
                    for _ in range(45):
                        wave.create_task(come_and_go(port, rng))
                    for _ in range(5):
                        wave.create_task(be_refused(refused))
                site.relay.reporter.take()  # as a server does each second, to store the records

        async def at_rest() -> tuple[int, int, int]:
            """Descriptors, objects and memory, when no stream is left."""
            await until(lambda: not site.resources.budget.spent + resources.budget.spent, "no stream is left")
            await until(lambda: echo.talking == 0, "that the service has heard every end")
            gc.collect()
            return len(open_files()), len(gc.get_objects()), resident()

        await waves(WARM)  # what the process takes for any stream, it takes now
        files, objects, memory = await at_rest()
        await waves(count)
        files_after, objects_after, memory_after = await at_rest()
        [view] = site.tunnels(key)
        assert view.streams == 0
        assert view.streams_total == count + WARM
        assert files_after <= files
        assert objects_after - objects < count / 10
        # malloc takes some, more in a process with hundreds of tests behind it; a leaked window is 64 KiB.
        assert memory_after - memory < 16 * MIB + count * KIB
