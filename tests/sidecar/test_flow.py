"""Over a sidecar, too: a reader that stops stalls its own stream alone, and no more than windows wait."""

import asyncio

import pytest

from aditus.wire.credit import MAX_WINDOW, SESSION_BUDGET
from tests.ends import Conversation, Echo, Target, on_linux, resident, until
from tests.sidecar.test_sidecar import whole_way
from tests.system.test_flow import GROWTH, MIB, OFFERED, Writer, talk
from tests.world import Site

TAKEN = 40 * MIB
"""What a writer gets rid of at most: two kernels' buffers, and a window for each of two hops that grows
for as long as these fill."""


async def all_came_back(site: Site) -> None:
    """Wait until the relay has no stream, and has all the credit that it gave."""
    await until(lambda: not site.relay.live_streams(), "no stream is left")
    await until(lambda: not site.resources.budget.spent, "all that was granted came back")


@on_linux
@pytest.mark.parametrize("stops", ["app", "service"])
async def test_a_reader_that_stops_stalls_its_own_stream_alone(site: Site, stops: str) -> None:
    with Target() as service:
        async with Echo() as echo:
            *_, [port, busy_port] = await whole_way(site, service, echo)
            app, there = await site.pair(port, service)
            with app, await site.app(busy_port) as busy:
                await talk(busy, 32 * MIB)  # what the process takes for any stream, it takes now
                size_before = resident()
                writer = Writer(app if stops == "service" else there)
                await talk(busy, 96 * MIB)  # the others go on; meanwhile the writer says what it can
                assert 0 < writer.said < TAKEN
                assert resident() - size_before < GROWTH
                said = writer.said
                await talk(busy, 16 * MIB)
                assert writer.said == said  # it stands still
                assert site.resources.budget.spent <= 8 * MAX_WINDOW  # two streams, each with two halves
                await writer.stop()
    await all_came_back(site)


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("stop", ["apps", "services"])
async def test_readers_that_stop_take_no_more_than_their_windows_together(site: Site, stop: str) -> None:
    async with Echo() as echo:
        with Target() as service:
            *_, [port, busy_port] = await whole_way(site, service, echo)
            with await site.app(busy_port) as busy:
                await talk(busy, 32 * MIB)
                pairs = [await site.pair(port, service) for _ in range(30)]
                writers = [Writer(app if stop == "services" else there) for app, there in pairs]
                await talk(busy, 64 * MIB)
                assert all(0 < writer.said < TAKEN for writer in writers)
                # The sidecar's session and the agent's, each with a budget of its own.
                assert site.resources.budget.spent <= 2 * SESSION_BUDGET
                for writer in writers:
                    await writer.stop()
                for app, _ in pairs:
                    app.close()
    await all_came_back(site)


@pytest.mark.parametrize("resets", ["app", "service"])
async def test_a_reset_drops_what_waits_on_the_way(site: Site, resets: str) -> None:
    """Of the writer, whose bytes are in every queue: it does not wait until somebody reads them."""
    with Target() as service:
        *_, [port] = await whole_way(site, service)
        app, there = await site.pair(port, service)
        with app, there:
            says, reads = (app, there) if resets == "app" else (there, app)
            writer = Writer(says)
            await stands_still(writer)
            await writer.stop()
            says.reset()
            await all_came_back(site)
            assert len(await reads.cut()) < writer.said  # the kernel has some of it; the rest is dropped
            assert writer.said < OFFERED


@pytest.mark.parametrize("first", ["app", "service"])
async def test_each_side_may_finish_while_bulk_comes_the_other_way(site: Site, first: str) -> None:
    said, answer = bytes(range(256)) * (4 * MIB // 256), bytes(reversed(range(256))) * (24 * MIB // 256)
    with Target() as service:
        *_, [port] = await whole_way(site, service)
        app, there = await site.pair(port, service)
        with app, there:
            one, other = (app, there) if first == "app" else (there, app)
            answering = asyncio.create_task(send_and_finish(other, answer))
            asking = asyncio.create_task(send_and_finish(one, said))
            assert await other.rest() == said  # to the clean end, while the answer still waits for a reader
            assert not answering.done()
            assert await one.rest() == answer
            await asyncio.gather(asking, answering)
        await all_came_back(site)


async def send_and_finish(conversation: Conversation, data: bytes) -> None:
    await conversation.send(data)
    conversation.finish()


async def stands_still(writer: Writer) -> None:
    """Wait until the writer gets rid of nothing more for a moment."""
    said, since = -1, 0.0
    loop = asyncio.get_running_loop()

    def still() -> bool:
        nonlocal said, since
        if writer.said != said:
            said, since = writer.said, loop.time()
        return writer.said > 0 and loop.time() - since > 0.2

    await until(still, "the writer stands still")
