"""An agent's specs change while it runs, and only the streams of those that changed notice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.domain.spec import parse_specs
from tests.ends import LOOPBACK, Conversation, Echo, Target, free_port, until
from tests.world import Key, Running, Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


def spec(port: int, service: Target) -> str:
    return f"{port}:{LOOPBACK}:{service.port}"


def offer(running: Running, *texts: str) -> None:
    running.agent.offer(parse_specs(texts))


async def served(site: Site, key: Key, *ports: int) -> None:
    """Wait until the relay serves exactly these ports."""
    await until(
        lambda: [status.port for status in site.tunnels(key)[0].ports if status.accepted] == list(ports),
        f"the ports {ports}",
    )


async def goes_on(app: Conversation) -> None:
    await app.send(b"still there?")
    assert await app.exactly(12) == b"still there?"


async def test_a_spec_that_is_added_serves_and_the_others_do_not_notice(site: Site) -> None:
    key, first, second = site.make_key(), free_port(), free_port()
    async with Echo() as service:
        running = site.start_agent(key, spec(first, service))
        await site.attached(key)
        with await site.app(first) as before:
            await goes_on(before)
            offer(running, spec(first, service), spec(second, service))
            await served(site, key, first, second)
            with await site.app(second) as app:
                await goes_on(app)
            await goes_on(before)


async def test_a_spec_that_is_removed_loses_its_streams_and_its_listener_and_no_other_does(
    site: Site,
) -> None:
    key, first, second = site.make_key(), free_port(), free_port()
    async with Echo() as service:
        running = site.start_agent(key, spec(first, service), spec(second, service))
        await site.attached(key)
        with await site.app(first) as kept, await site.app(second) as gone:
            await goes_on(kept)
            await goes_on(gone)
            offer(running, spec(first, service))
            await gone.cut()
            await served(site, key, first)
            with pytest.raises(ConnectionRefusedError):
                await site.app(second)
            await goes_on(kept)


async def test_a_spec_that_leads_elsewhere_cuts_what_went_to_the_old_place(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with Echo() as old:
        running = site.start_agent(key, spec(port, old))
        await site.attached(key)
        with await site.app(port) as app:
            await goes_on(app)
            with Target() as new:
                offer(running, spec(port, new))
                await app.cut()
                later, there = await site.pair(port, new)
                with later:
                    await there.send(b"here now")
                    assert await later.exactly(8) == b"here now"


async def test_options_of_a_spec_change_without_a_cut(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with Echo() as service:
        running = site.start_agent(key, spec(port, service))
        await site.attached(key)
        with await site.app(port) as app:
            await goes_on(app)
            offer(running, spec(port, service) + ",probe=3600")
            await goes_on(app)


async def test_changes_faster_than_the_relay_answers_end_with_the_last_one(site: Site) -> None:
    """An offer waits for the answer to the one before: two at once would break the protocol."""
    key, ports = site.make_key(), [free_port() for _ in range(6)]
    async with Echo() as service:
        running = site.start_agent(key, spec(ports[0], service), links=2)
        await site.attached(key, 2)
        for port in ports[1:]:
            offer(running, spec(port, service))
        await served(site, key, ports[-1])
        with await site.app(ports[-1]) as app:
            await goes_on(app)
        assert site.resources.violations == 0


async def test_what_changed_while_the_relay_was_away_is_offered_when_it_is_back(site: Site) -> None:
    key, first, second = site.make_key(), free_port(), free_port()
    async with Echo() as service:
        running = site.start_agent(key, spec(first, service))
        await site.attached(key)
        (before,) = site.tunnels(key)
        assert site.relay.cut_tunnel(key.subscription_id, before.tunnel_id)
        offer(running, spec(second, service))
        await site.attached(key)
        await served(site, key, second)
