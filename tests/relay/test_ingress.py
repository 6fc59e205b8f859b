"""Listeners: whose a port is, when it is open, and what an app meets that knocks in vain."""

from pathlib import Path

import pytest

from aditus.net.mux import Resources
from aditus.wire import frames
from aditus.wire.frames import FrameType, Verdict
from aditus.wire.session import Limits
from tests.ends import LOOPBACK, Echo, Target, free_port, until
from tests.raw import HandAgent
from tests.world import Key, Site


async def echoes(site: Site, port: int) -> None:
    with await site.app(port) as app:
        await app.send(b"hello")
        assert await app.exactly(5) == b"hello"


async def hand_agent(site: Site, key: Key) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path)


async def test_an_app_that_is_refused_leaves_nothing_behind_that_harms_the_next(site: Site) -> None:
    """Descriptors are used again at once: what watched the old one would deafen the new."""
    async with Echo() as echo:
        full, roomy, other = free_port(), free_port(), site.make_key("plant-2")
        key, one_stream = site.make_key(), Resources(limits=Limits(max_streams=1))
        site.start_agent(key, f"{full}:{LOOPBACK}:{echo.port}", resources=one_stream)
        site.start_agent(other, f"{roomy}:{LOOPBACK}:{echo.port}")
        await site.attached(key)
        await site.attached(other)
        with await site.app(full) as only:
            await only.send(b"hello")
            assert await only.exactly(5) == b"hello"
            for _ in range(20):
                with await site.app(full) as app:
                    assert await app.cut() == b""
                await echoes(site, roomy)


async def test_two_keys_cannot_have_the_same_port_and_the_second_is_told(site: Site) -> None:
    async with Echo() as echo:
        with Target() as other:
            first, second, port = site.make_key(), site.make_key("plant-2"), free_port()
            site.start_agent(first, f"{port}:{LOOPBACK}:{echo.port}")
            await site.attached(first)
            running = site.start_agent(second, f"{port}:{LOOPBACK}:{other.port}")
            [tunnel] = await site.attached(second)
            assert [(status.accepted, status.verdict) for status in tunnel.ports] == [(False, "port-taken")]
            await until(lambda: running.agent.rows()[0].ports, "the agent's status line")
            assert running.agent.rows()[0].ports == f"{port}(port-taken)"
            await echoes(site, port)  # still the first key's


async def test_a_revoked_keys_port_goes_to_who_was_refused_it(site: Site) -> None:
    async with Echo() as echo:
        with Target() as other:
            first, second, port = site.make_key(), site.make_key("plant-2"), free_port()
            site.start_agent(first, f"{port}:{LOOPBACK}:{other.port}")
            await site.attached(first)
            running = site.start_agent(second, f"{port}:{LOOPBACK}:{echo.port}")
            await site.attached(second)
            await until(lambda: running.agent.rows()[0].ports == f"{port}(port-taken)", "the refusal")
            site.revoke_now(first)
            await until(lambda: running.agent.rows()[0].ports == f"{port}", "the port without asking again")
            await echoes(site, port)


async def test_agents_of_one_key_share_its_port_and_losing_one_costs_only_its_streams(site: Site) -> None:
    with Target() as service:
        key, port = site.make_key(), free_port()
        spec = f"{port}:{LOOPBACK}:{service.port}"
        agents = [site.start_agent(key, spec), site.start_agent(key, spec)]
        await site.attached(key, 2)
        pairs = [await site.pair(port, service) for _ in range(6)]
        assert [tunnel.streams for tunnel in site.tunnels(key)] == [3, 3]
        await agents[0].stop()
        await site.attached(key, 1)
        lost, kept = 0, 0
        for number, (app, there) in enumerate(pairs):
            with app:
                try:
                    await there.send(f"still {number}".encode())
                    assert await app.exactly(7) == f"still {number}".encode()
                    kept += 1
                except ConnectionError:
                    lost += 1
        assert (lost, kept) == (3, 3)
        app, there = await site.pair(port, service)
        app.close()


@pytest.mark.parametrize("port", [1, 22, 1023])
async def test_the_systems_ports_are_not_served(site: Site, port: int) -> None:
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        [verdict] = (await agent.attach(port)).ports
        assert verdict.verdict is Verdict.PORT_RESERVED
        assert "1024" in verdict.detail


async def test_the_relays_own_ports_are_not_served(tmp_path: Path) -> None:
    api = free_port()
    async with Site(tmp_path, reserved_ports=frozenset({api})) as site:
        key = site.make_key()
        async with await hand_agent(site, key) as agent:
            status = await agent.attach(api, site.relay_url.port)
            assert [port.verdict for port in status.ports] == [Verdict.PORT_RESERVED] * 2


async def test_without_listeners_agents_are_registered_all_the_same(tmp_path: Path) -> None:
    async with Site(tmp_path, app_listen=None) as site:
        key, port = site.make_key(), free_port()
        async with await hand_agent(site, key) as agent:
            [verdict] = (await agent.attach(port)).ports
            assert verdict.verdict is Verdict.NO_LISTENER
            assert len(site.tunnels(key)) == 1
            with pytest.raises(ConnectionRefusedError):
                await site.app(port)


async def test_a_port_that_another_program_has_is_said_to_be_in_use(site: Site) -> None:
    with Target() as program:
        key = site.make_key()
        async with await hand_agent(site, key) as agent:
            [verdict] = (await agent.attach(program.port)).ports
            assert verdict.verdict is Verdict.PORT_IN_USE
            assert verdict.detail == "on the relay's host another program has this port"


async def test_a_listener_closes_with_the_last_agent_and_the_port_stays_the_keys(site: Site) -> None:
    async with Echo() as echo:
        key, other, port = site.make_key(), site.make_key("plant-2"), free_port()
        spec = f"{port}:{LOOPBACK}:{echo.port}"
        agent = site.start_agent(key, spec)
        await site.attached(key)
        await agent.stop()
        await site.detached(key)
        with pytest.raises(ConnectionRefusedError):
            await site.app(port)
        async with await hand_agent(site, other) as thief:
            assert (await thief.attach(port)).ports[0].verdict is Verdict.PORT_TAKEN
        site.start_agent(key, spec)
        await site.attached(key)
        await echoes(site, port)


async def test_an_agent_can_change_its_offer(site: Site) -> None:
    key, old, new = site.make_key(), free_port(), free_port()
    async with await hand_agent(site, key) as agent:
        await agent.attach(old)
        await agent.wire.say(frames.encode_offer(frames.Offer(2, (new,))))
        _, count, payload = await agent.hear(FrameType.STATUS)
        assert frames.decode_status(count, payload) == frames.Status(
            2, (frames.PortVerdict(new, Verdict.SERVED),)
        )
        with await site.app(new):
            await agent.hear(FrameType.OPEN)
        with pytest.raises(ConnectionRefusedError):
            await site.app(old)
        assert [port.port for port in site.tunnels(key)[0].ports] == [new]


async def test_an_app_that_comes_when_the_last_agent_is_leaving_is_reset(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as agent:
        await agent.attach(port)
        await agent.wire.say(frames.encode_goaway(30, "restart"))
        await agent.wire.say(frames.encode_ping(bytes(8)))
        await agent.hear(FrameType.PONG)
        with await site.app(port) as app:
            assert await app.cut() == b""
