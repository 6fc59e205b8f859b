"""What an agent says of itself: figures for Prometheus, and targets that it tries by itself when told to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.telemetry.agent_metrics import AgentMetrics
from tests.ends import LOOPBACK, Echo, Target, free_port, until
from tests.world import Running, Site

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


def scraped(running: Running) -> dict[str, float]:
    """The agent's own samples, by name and labels."""
    lines = AgentMetrics(running.agent.figures).render().decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if line.startswith("aditus_agent_"))
    return {name: float(value) for name, _, value in samples if "_created" not in name}


async def test_a_spec_that_is_probed_is_known_to_fail_before_any_app_comes(site: Site) -> None:
    key, port, closed = site.make_key(), free_port(), free_port()
    spec = f"{port}:{LOOPBACK}:{closed},probe=3600"
    running = site.start_agent(key, spec)
    why = [f"spec {spec}: target-refused"]
    await until(lambda: running.agent.not_ready() == why, "it is attached, and the probe has failed")
    assert scraped(running)[f'aditus_agent_spec_up{{port="{port}"}}'] == 0


async def test_a_probe_comes_and_leaves_and_says_so_where_it_is_expected_to(site: Site) -> None:
    key = site.make_key()
    with Target() as plain, Target() as greeted:
        running = site.start_agent(
            key,
            f"{free_port()}:{LOOPBACK}:{plain.port},probe=3600",
            f"{free_port()}:{LOOPBACK}:{greeted.port},probe=3600,proxy-protocol",
        )
        assert await (await plain.accept()).rest() == b""
        assert await (await greeted.accept()).rest() == SIGNATURE + b"\x20\x00\x00\x00"
        await until(lambda: not running.agent.not_ready(), "it is attached, and nothing fails")


async def test_other_specs_are_not_tried_by_the_agent(site: Site) -> None:
    key, port, closed = site.make_key(), free_port(), free_port()
    running = site.start_agent(key, f"{port}:{LOOPBACK}:{closed}")
    await until(lambda: not running.agent.not_ready(), "it is attached, and nothing is known to fail")


async def test_figures_tell_what_passed_and_what_failed(site: Site) -> None:
    key, port, closed_port = site.make_key(), free_port(), free_port()
    async with Echo() as echo:
        running = site.start_agent(
            key, f"{port}:{LOOPBACK}:{echo.port}", f"{closed_port}:{LOOPBACK}:{free_port()}"
        )
        await site.attached(key)
        with await site.app(port) as app, await site.app(closed_port) as refused:
            await app.send(b"12345")
            assert await app.exactly(5) == b"12345"
            await refused.cut()
            found = scraped(running)
    relay = f'relay="{key.url.audience}",slot="0"'
    assert found["aditus_agent_streams"] == 1
    assert found["aditus_agent_opened_streams_total"] == 2
    assert found['aditus_agent_bytes_total{direction="in"}'] == 5
    assert found['aditus_agent_bytes_total{direction="out"}'] == 5
    assert found[f"aditus_agent_link_up{{{relay}}}"] == 1
    assert found[f"aditus_agent_reconnects_total{{{relay}}}"] == 0
    assert found[f'aditus_agent_spec_up{{port="{port}"}}'] == 1
    assert found[f'aditus_agent_spec_up{{port="{closed_port}"}}'] == 0
    assert found[f'aditus_agent_dial_errors_total{{port="{closed_port}",reason="target-refused"}}'] == 1
    assert "aditus_agent_key_expires_at_seconds" not in found


async def test_what_was_counted_outlives_its_tunnel(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with Echo() as echo:
        running = site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"12345")
            assert await app.exactly(5) == b"12345"
        (tunnel,) = site.tunnels(key)
        assert site.relay.cut_tunnel(key.subscription_id, tunnel.tunnel_id)
        await site.attached(key)
        await until(lambda: any(row.state == "attached" for row in running.agent.rows()), "attached again")
        found = scraped(running)
    relay = f'relay="{key.url.audience}",slot="0"'
    assert found['aditus_agent_bytes_total{direction="in"}'] == 5
    assert found["aditus_agent_opened_streams_total"] == 1
    assert found[f"aditus_agent_reconnects_total{{{relay}}}"] == 1


async def test_ends_of_the_key_and_of_the_relays_certificate_are_told(site: Site) -> None:
    key = site.make_key(expires_at=4_000_000_000.0)
    running = site.start_agent(key, f"{free_port()}:{LOOPBACK}:1")
    await site.attached(key)
    await until(lambda: running.agent.rows()[0].state == "attached", "attached")
    found = scraped(running)
    assert found["aditus_agent_key_expires_at_seconds"] == 4_000_000_000
    (certificate,) = [value for name, value in found.items() if "certificate_expires_at" in name]
    assert 1_700_000_000 < certificate < 4_000_000_000


async def test_no_label_has_a_name_of_the_private_network(site: Site) -> None:
    key, port = site.make_key(), free_port()
    running = site.start_agent(key, f"{port}:very-private.invalid:5432")
    await site.attached(key)
    with await site.app(port) as app:
        await app.cut()
    assert "very-private" not in AgentMetrics(running.agent.figures).render().decode()
