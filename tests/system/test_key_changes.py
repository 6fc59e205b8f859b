"""What an administrator changes of a key is what its agents meet, with everything real in between."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.domain.model import AccessKey
from tests.ends import LOOPBACK, Conversation, Echo, free_port, until
from tests.world import Key, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as world:
        yield world


async def shown(world: World) -> AccessKey:
    return await asyncio.to_thread(world.client.show_key, "plant-1")


async def echoes(app: Conversation, word: bytes = b"hello") -> None:
    await app.send(word)
    assert await app.exactly(len(word)) == word


async def rotated(world: World, key: Key, *, grace: float | None = None, now: bool = False) -> Key:
    new = await asyncio.to_thread(world.client.rotate_key, key.access_key_id, grace=grace, now=now)
    assert new.secret is not None
    assert new.key.connect_url == str(key.url)
    return dataclasses.replace(key, secret=new.secret)


async def test_a_rotation_from_the_first_use_of_the_new_secret_to_the_end_of_the_old(world: World) -> None:
    async with Echo() as echo:
        old, port = await world.key(), free_port()
        spec = f"{port}:{LOOPBACK}:{echo.port}"
        late = world.start_agent(old, spec)
        await world.attached(old)
        new = await rotated(world, old, grace=1.0)
        with await world.app(port) as app:
            await echoes(app)
            rotation = (await shown(world)).rotation
            assert rotation is not None
            assert (rotation.ends_at, rotation.old_instances) == (None, 1)

            renewed = world.start_agent(new, spec)
            assert (await late.ended()).reason == "replaced"
            assert await app.cut() == b""
        assert renewed.runs
        with await world.app(port) as app:
            await echoes(app)
        assert (await shown(world)).rotation is None


async def test_a_leaked_secret_is_dropped_at_once(world: World) -> None:
    key = await world.key()
    agent = world.start_agent(key, "5432:127.0.0.1:5432")
    await world.attached(key)
    await rotated(world, key)
    await rotated(world, key, now=True)
    assert not world.tunnels(key)
    assert (await agent.ended()).reason == "replaced"


async def test_rules_count_at_once_and_end_only_what_they_forbid(world: World) -> None:
    async with Echo() as echo:
        key, kept, lost = await world.key(), free_port(), free_port()
        agent = world.start_agent(key, *(f"{port}:{LOOPBACK}:{echo.port}" for port in (kept, lost)))
        await world.attached(key)
        with await world.app(kept) as stays, await world.app(lost) as goes:
            await echoes(stays)
            await echoes(goes)
            await asyncio.to_thread(world.client.update_key, "plant-1", {"allowed_ports": [kept]})
            assert await goes.cut() == b""
            await echoes(stays)
            here = {"allowed_sources": ["127.0.0.0/8", "::1"]}
            await asyncio.to_thread(world.client.update_key, "plant-1", here)
            await echoes(stays)
            elsewhere = {"allowed_sources": ["192.0.2.0/24"]}
            await asyncio.to_thread(world.client.update_key, "plant-1", elsewhere)
            assert await stays.cut() == b""
        assert not world.tunnels(key)
        assert agent.runs  # it waits for the rule, or its address, to change


async def test_a_key_shows_its_last_use(world: World) -> None:
    key = await world.key()
    assert (await shown(world)).last_used_at is None
    world.start_agent(key, "5432:127.0.0.1:5432")
    [tunnel] = await world.attached(key)

    record = await shown(world)
    for _ in range(100):  # until the relay's next report is kept
        if record.last_used_at is None:
            await asyncio.sleep(0.1)
            record = await shown(world)
    assert record.last_used_at is not None
    assert abs(record.last_used_at - time.time()) < 60
    assert (record.last_used_from, record.last_used_instance) == (LOOPBACK, tunnel.instance)
    assert record.last_used_version.startswith("aditus/")


async def test_an_expired_key_is_cut_by_the_relays_own_clock(world: World) -> None:
    async with Echo() as echo:
        key, port = await world.key(), free_port()
        agent = world.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await world.attached(key)
        with await world.app(port) as app:
            await echoes(app)
            soon = {"expires_at": time.time() + 1}
            await asyncio.to_thread(world.client.update_key, "plant-1", soon)
            assert await app.cut() == b""
        assert (await agent.ended()).reason == "expired"
        await until(lambda: not world.tunnels(key), "no tunnel")
        await asyncio.to_thread(world.client.update_key, "plant-1", {"expires_at": time.time() + 3600})
        world.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await world.attached(key)
