"""Who breaks the protocol loses its session, and is counted; nobody else is."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from aditus.telemetry.server_metrics import ServerMetrics
from aditus.wire import frames
from aditus.wiring import serve
from tests.ends import Echo, free_port, until
from tests.raw import TEXT, HandAgent
from tests.world import Key, Site


async def dial(site: Site, key: Key) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path)


async def sends_on_a_stream_that_was_never_opened(agent: HandAgent) -> None:
    await agent.wire.say(frames.encode_data(7, b"hello?"))


async def says_an_unknown_frame(agent: HandAgent) -> None:
    await agent.wire.say(b"\xff" * 8)


async def writes_text(agent: HandAgent) -> None:
    await agent.wire.say(b"hello?", TEXT)


async def breaks_the_websocket(agent: HandAgent) -> None:
    await agent.wire.send(b"\x83\x80\x00\x00\x00\x00")  # an opcode that RFC 6455 does not have


@pytest.mark.parametrize(
    "offence",
    [
        sends_on_a_stream_that_was_never_opened,
        says_an_unknown_frame,
        writes_text,
        breaks_the_websocket,
    ],
)
@pytest.mark.parametrize("attached", [True, False])
async def test_a_hostile_agent_is_counted_once_and_disturbs_nobody(
    site: Site, offence: Callable[[HandAgent], Awaitable[None]], attached: bool
) -> None:
    good, bad = site.make_key(), site.make_key("plant-2")
    async with Echo() as echo:
        [port] = await site.offer(good, echo)
        with await site.app(port) as app:
            async with await dial(site, bad) as agent:
                if attached:
                    await agent.attach(free_port())
                assert site.relay.totals().violations == 0
                await offence(agent)
                assert (await agent.wire.closed())[0] == 1002
            await site.detached(bad)
            await until(lambda: site.relay.totals().violations, "that it is counted")
            await app.send(b"undisturbed")
            assert await app.exactly(11) == b"undisturbed"
            assert site.relay.totals().violations == 1


async def test_who_leaves_or_is_slow_has_broken_nothing(site: Site) -> None:
    key = site.make_key()
    async with await dial(site, key) as agent:
        await agent.attach(free_port())
    async with await dial(site, key):
        pass
    await site.detached(key)
    assert site.relay.totals().violations == 0


async def test_a_scrape_reads_the_count(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "METRICS_SECONDS", 0.01)
    metrics = ServerMetrics()
    measuring = asyncio.create_task(serve._measure(site.relay, metrics))
    async with await dial(site, site.make_key()) as agent:
        await writes_text(agent)
        assert (await agent.wire.closed())[0] == 1002
    await until(lambda: b"\naditus_violations_total 1.0\n" in metrics.render(), "that it is counted")
    measuring.cancel()
    await asyncio.gather(measuring, return_exceptions=True)
