"""Revoking as an administrator does: what the answer promises holds, however many agents and apps race it."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.domain.errors import AditusError
from tests.ends import LOOPBACK, Conversation, Echo, Target, free_port, until
from tests.raw import Wire, upgrade
from tests.world import Key, Running, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as world:
        yield world


async def test_the_main_job(world: World) -> None:
    """Generate, connect, use, revoke: cut, gone, and told why."""
    with Target() as service:
        key, port = await world.key(), free_port()
        agent = world.start_agent(key, f"{port}:{LOOPBACK}:{service.port}")
        await world.attached(key)
        app, there = await world.pair(port, service)
        with app:
            await app.send(b"select")
            assert await there.exactly(6) == b"select"
            await there.send(b"row")
            assert await app.exactly(3) == b"row"

            [result] = await world.revoke(key)

            assert (result.access_key_id, result.result) == ("plant-1", "revoked")
            assert result.cut is not None
            assert (result.cut.tunnels, result.cut.streams) == (1, 1)
            assert result.cut.milliseconds < 1_000
            assert await app.cut() == b""
            assert await there.cut() == b""
        assert (await agent.ended()).reason == "revoked"
        with pytest.raises(ConnectionRefusedError):
            await world.app(port)
        async with await Wire.connect(world.relay_url, world.trust) as wire:
            answer = await wire.ask(key.url.path, {"Host": "x"})
            assert (answer.status, answer.reason) == (404, "no-such-url")
        async with await Wire.connect(world.relay_url, world.trust) as wire:
            bearer = key.signer().bearer(key.url.audience, time.time())
            answer = await wire.ask(key.url.path, upgrade(world.relay_url, bearer))
            assert (answer.status, answer.reason) == (403, "revoked")


async def test_an_agent_with_a_revoked_key_is_turned_away(world: World) -> None:
    async with Echo() as echo:
        key = await world.key()
        await world.revoke(key)
        agent = world.start_agent(key, f"{free_port()}:{LOOPBACK}:{echo.port}")
        assert (await agent.ended()).reason == "revoked"


async def test_a_dry_run_says_what_would_be_cut_and_cuts_nothing(world: World) -> None:
    with Target() as service:
        key = await world.key()
        [port] = await world.offer(key, service)
        app, there = await world.pair(port, service)
        with app:
            await app.send(b"before")
            assert await there.exactly(6) == b"before"
            [would] = await asyncio.to_thread(world.client.revoke_keys, ["plant-1"], dry_run=True)
            assert would.cut is not None
            assert (would.cut.tunnels, would.cut.streams) == (1, 1)
            await app.send(b"after")
            assert await there.exactly(5) == b"after"


async def test_suspending_cuts_and_resuming_lets_in_again(world: World) -> None:
    async with Echo() as echo:
        key, port = await world.key(), free_port()
        pauses: asyncio.Queue[float] = asyncio.Queue()
        go_on = asyncio.Event()

        async def pause(delay: float) -> None:
            pauses.put_nowait(delay)
            await go_on.wait()

        world.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}", pause=pause)
        await world.attached(key)
        with await world.app(port) as app:
            await app.send(b"x")
            assert await app.exactly(1) == b"x"
            result = await asyncio.to_thread(world.client.suspend_key, "plant-1")
            assert result.cut is not None
            assert (result.cut.tunnels, result.cut.streams) == (1, 1)
            assert await app.cut() == b""
        assert 24 <= await pauses.get() <= 36
        await asyncio.to_thread(world.client.resume_key, "plant-1")
        go_on.set()
        await world.attached(key)
        with await world.app(port) as app:
            await app.send(b"x")
            assert await app.exactly(1) == b"x"


class Customers:
    """Apps that come to one port again and again, and what became of what they said."""

    def __init__(self, port: int) -> None:
        self.served = 0
        self.last_served_word = 0.0
        """When the last word that was answered had been said (monotonic seconds)."""
        self.clean_ends = 0
        self._port = port
        self._tasks = [asyncio.create_task(self._come()) for _ in range(3)]

    async def _come(self) -> None:
        while True:
            try:
                with await Conversation.connect(self._port) as app:
                    for _ in range(random.randrange(1, 5)):
                        word, said_at = os.urandom(8), time.monotonic()
                        await app.send(word)
                        heard = await app.some(8)
                        if not heard:
                            self.clean_ends += 1
                            break
                        assert heard == word
                        self.served += 1
                        self.last_served_word = max(self.last_served_word, said_at)
            except ConnectionError:
                await asyncio.sleep(0.01)  # refused or cut: knock again

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


@pytest.mark.timeout(300)  # a busy machine takes its time, and several tries
@pytest.mark.parametrize("keys", [50, pytest.param(200, marks=pytest.mark.slow)])
async def test_after_a_revoke_was_answered_no_byte_passes_however_it_races(world: World, keys: int) -> None:
    """So many keys whose agents attach, and whose apps open streams, while they are revoked.

    Who is first is not the test's to say, so it goes on until both kinds of races were seen often enough.
    """
    rng = random.Random(7)
    early, late = 0, 0
    async with Echo() as echo:

        async def race(number: int) -> None:
            nonlocal early, late
            key, port = await world.key(f"plant-{number}"), free_port()
            spec = f"{port}:{LOOPBACK}:{echo.port}"
            agents = [world.start_agent(key, spec) for _ in range(2)]
            customers = Customers(port)
            if number % 2:  # in full flow; else while the agents attach
                await until(lambda: customers.served > 3, "customers")
            await asyncio.sleep(rng.random() * 0.03)  # anywhere in what is going on
            [result] = await world.revoke(key)
            answered = time.monotonic()
            assert result.result == "revoked"
            ends = await asyncio.gather(*(agent.ended() for agent in agents))
            assert {end.reason for end in ends} == {"revoked"}
            assert not world.tunnels(key)
            await asyncio.sleep(0)
            await customers.stop()
            assert customers.last_served_word < answered
            assert customers.clean_ends == 0
            early += not customers.served
            late += bool(customers.served)

        enough_early, enough_late = keys / 20, keys / 2
        for start in range(0, 4 * keys, 10):
            async with asyncio.TaskGroup() as races:
                for number in range(start, start + 10):
                    races.create_task(race(number))
            if early + late >= keys and early > enough_early and late > enough_late:
                break
    assert early > enough_early
    assert late > enough_late
    assert world.relay.totals().tunnels == 0


async def test_many_keys_revoked_at_once_are_all_cut(world: World) -> None:
    async with Echo() as echo:
        keys: list[Key] = [await world.key(f"plant-{number}") for number in range(20)]
        agents: list[Running] = []
        apps: list[Conversation] = []
        for key in keys:
            port = free_port()
            agents.append(world.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}"))
            await world.attached(key)
            apps.append(await world.app(port))
            await apps[-1].send(b"x")
            assert await apps[-1].exactly(1) == b"x"
        results = await world.revoke(*keys)
        assert [result.cut.streams if result.cut else 0 for result in results] == [1] * 20
        for app in apps:
            with app:
                assert await app.cut() == b""
        ends: list[AditusError] = [await agent.ended() for agent in agents]
        assert {end.reason for end in ends} == {"revoked"}
