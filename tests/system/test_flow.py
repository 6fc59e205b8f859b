"""A reader that stops stalls its own stream alone, and no process grows by more than its window."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.wire.credit import SESSION_BUDGET
from tests.ends import Conversation, Echo, Target, on_linux, resident
from tests.world import Site

MIB = 1 << 20
OFFERED = 256 * MIB
"""What a writer would say to a reader that stops. Nothing but credit holds it back."""
TAKEN = 24 * MIB
"""What it gets rid of at most: two kernels' buffers (4 MiB each here) and a window of 64 KiB, which grows for
as long as these fill."""
GROWTH = 64 * MIB
"""How much the process may grow while 128 MiB pass through another stream: far below what is offered."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


class Writer:
    """Says `OFFERED` bytes as fast as they are taken."""

    def __init__(self, conversation: Conversation) -> None:
        self.said = 0
        self._conversation = conversation
        self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        block = bytes(65_536)
        while self.said < OFFERED:
            await self._conversation.send(block)
            self.said += len(block)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def talk(app: Conversation, size: int) -> None:
    """Send `size` bytes to an echo, and have them back."""

    async def say() -> None:
        for _ in range(size // MIB):
            await app.send(bytes(MIB))

    saying = asyncio.create_task(say())
    await app.exactly(size)
    await saying


@on_linux
@pytest.mark.parametrize("stops", ["app", "service"])
async def test_a_reader_that_stops_stalls_its_own_stream_alone(site: Site, stops: str) -> None:
    with Target() as service:
        async with Echo() as echo:
            port, busy_port = await site.offer(site.make_key(), service, echo)
            app, there = await site.pair(port, service)
            with app, await site.app(busy_port) as busy:
                await talk(busy, 32 * MIB)  # what the process takes for any stream, it takes now
                size_before = resident()
                writer = Writer(app if stops == "service" else there)
                await talk(busy, 128 * MIB)  # the others go on; meanwhile the writer says what it can
                assert 0 < writer.said < TAKEN
                assert resident() - size_before < GROWTH
                said = writer.said
                await talk(busy, 16 * MIB)
                assert writer.said == said  # it stands still
                await writer.stop()


@on_linux
@pytest.mark.parametrize("stop", ["apps", "services"])
async def test_readers_that_stop_take_no_more_than_their_windows_together(site: Site, stop: str) -> None:
    async with Echo() as echo:
        with Target() as service:
            port, busy_port = await site.offer(site.make_key(), service, echo)
            with await site.app(busy_port) as busy:
                await talk(busy, 32 * MIB)
                pairs = [await site.pair(port, service) for _ in range(30)]
                size_before = resident()
                writers = [Writer(app if stop == "services" else there) for app, there in pairs]
                await talk(busy, 64 * MIB)
                assert all(0 < writer.said < TAKEN for writer in writers)
                assert resident() - size_before < GROWTH
                assert site.resources.budget.spent <= SESSION_BUDGET
                for writer in writers:
                    await writer.stop()
                for app, _ in pairs:
                    app.close()


async def test_a_reader_that_goes_on_gets_all_of_it(site: Site) -> None:
    with Target() as service:
        async with Echo() as echo:
            port, busy_port = await site.offer(site.make_key(), service, echo)
            app, there = await site.pair(port, service)
            with app, await site.app(busy_port) as busy:
                said = bytes(range(256)) * (64 * MIB // 256)
                saying = asyncio.create_task(there.send(said))
                await talk(busy, 32 * MIB)
                assert not saying.done()
                assert await app.exactly(len(said)) == said
                await saying
