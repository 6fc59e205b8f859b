"""What goes in at one end comes out at the other: exact, in order, and with the right ending."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.ends import Conversation, Echo, Target
from tests.world import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


async def test_an_app_talks_to_a_service(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            await app.send(b"question")
            assert await there.exactly(8) == b"question"
            await there.send(b"answer")
            assert await app.exactly(6) == b"answer"


async def test_an_app_that_has_said_all_still_gets_its_answer(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            await app.send(b"the whole question")
            app.finish()
            assert await there.rest() == b"the whole question"
            await there.send(b"a long answer" * 10_000)
            there.close()
            assert await app.rest() == b"a long answer" * 10_000


async def test_a_service_that_has_said_all_still_listens(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            await there.send(b"220 ready")
            there.finish()
            assert await app.rest() == b"220 ready"
            await app.send(b"all that I have" * 10_000)
            app.close()
            assert await there.rest() == b"all that I have" * 10_000


async def test_an_app_that_ends_before_the_service_answers_is_served_all_the_same(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        with await site.app(port) as app:
            await app.send(b"request")
            app.finish()
            there = await service.accept()
            assert await there.rest() == b"request"
            await there.send(b"response")
            there.finish()
            assert await app.rest() == b"response"


async def test_an_app_that_resets_is_a_reset_for_the_service(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        await app.send(b"half a trans")
        assert await there.exactly(12) == b"half a trans"
        app.reset()
        assert await there.cut() == b""


async def test_a_service_that_resets_is_a_reset_for_the_app(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            await there.send(b"half an ans")
            assert await app.exactly(11) == b"half an ans"
            there.reset()
            assert await app.cut() == b""


async def test_a_reset_after_half_a_close_is_still_a_reset(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            app.finish()
            assert await there.rest() == b""
            await there.send(b"begin")
            assert await app.exactly(5) == b"begin"
            there.reset()
            assert await app.cut() == b""


async def test_a_service_that_closes_first_while_the_app_still_sends_resets_it(site: Site) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            await there.send(b"busy")
            there.close()  # whole, not half: what comes from now on, the kernel answers with a reset
            assert await app.rest() == b"busy"
            with pytest.raises(ConnectionError):
                await app.send(bytes(1 << 26))


async def test_one_byte_at_a_time_arrives_as_it_was_said(site: Site) -> None:
    said = random.Random(1).randbytes(2_000)
    async with Echo() as echo:
        [port] = await site.offer(site.make_key(), echo)
        with await site.app(port) as app:
            for byte in said[:500]:
                await app.send(bytes([byte]))
                assert await app.exactly(1) == bytes([byte])
            for byte in said[500:]:
                await app.send(bytes([byte]))
            app.finish()
            assert await app.rest() == said[500:]


async def pour(conversation: Conversation, size: int, seed: int) -> str:
    """Send `size` bytes and FIN; their SHA-256."""
    blocks = [random.Random(seed + number).randbytes(262_144) for number in range(4)]
    digest = hashlib.sha256()
    for number in range(size // 262_144):
        block = blocks[number % 4]
        digest.update(block)
        await conversation.send(block)
    conversation.finish()
    return digest.hexdigest()


async def drink(conversation: Conversation) -> tuple[int, str]:
    """Read to the clean end; how much, and its SHA-256."""
    digest, size = hashlib.sha256(), 0
    while piece := await conversation.some():
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(1 << 26, id="64 MiB"),
        pytest.param(1 << 30, id="1 GiB", marks=[pytest.mark.slow, pytest.mark.timeout(300)]),
    ],
)
async def test_a_large_transfer_is_the_same_on_both_sides_both_ways_at_once(site: Site, size: int) -> None:
    with Target() as service:
        [port] = await site.offer(site.make_key(), service)
        app, there = await site.pair(port, service)
        with app:
            up, down, got_up, got_down = await asyncio.gather(
                pour(app, size, 1), pour(there, size, 100), drink(there), drink(app)
            )
            assert got_up == (size, up)
            assert got_down == (size, down)


async def test_a_thousand_streams_at_once_keep_their_bytes_apart(site: Site) -> None:
    async with Echo() as echo:
        [port] = await site.offer(key := site.make_key(), echo)

        async def talk(number: int, all_open: asyncio.Barrier) -> None:
            said = random.Random(number).randbytes(20_000)
            with await site.app(port) as app:
                await app.send(said[:100])
                assert await app.exactly(100) == said[:100]
                await all_open.wait()
                sending = asyncio.create_task(app.send(said[100:]))
                assert await app.exactly(19_900) == said[100:]
                await sending
                app.finish()
                assert await app.rest() == b""

        barrier = asyncio.Barrier(1_001)
        async with asyncio.TaskGroup() as talks:
            for number in range(1_000):
                talks.create_task(talk(number, barrier))
            await barrier.wait()
            assert site.tunnels(key)[0].streams >= 900
