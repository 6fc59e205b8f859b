"""When a key loses its right, all that it carries ends at once, and ends as what it is: cut."""

import asyncio
import time

import pytest

from aditus.domain.model import KeyState
from aditus.wire.frames import Verdict
from tests.ends import LOOPBACK, BlackHole, Conversation, Echo, Target, free_port, until
from tests.world import Site


class Flow:
    """Says bytes without an end, until it is cut."""

    def __init__(self, conversation: Conversation) -> None:
        self.said = 0
        self._conversation = conversation
        self._task = asyncio.create_task(self._flow())

    async def _flow(self) -> None:
        block = bytes(65_536)
        while True:
            await self._conversation.send(block)
            self.said += len(block)

    async def was_cut(self) -> None:
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(self._task, 20)


async def test_a_revoke_cuts_every_stream_in_full_flow_with_a_reset_on_both_sides(site: Site) -> None:
    with Target() as service:
        key, port = site.make_key(), free_port()
        spec = f"{port}:{LOOPBACK}:{service.port}"
        agents = [site.start_agent(key, spec), site.start_agent(key, spec)]
        await site.attached(key, 2)
        pairs = [await site.pair(port, service) for _ in range(20)]
        ups = [Flow(app) for app, _ in pairs[:10]]
        downs = [Flow(there) for _, there in pairs[10:]]
        readers = [there for _, there in pairs[:10]] + [app for app, _ in pairs[10:]]
        reading = [asyncio.create_task(reader.cut()) for reader in readers]
        await until(lambda: min(reader.heard for reader in readers) > 1 << 20, "1 MiB of each stream")

        [cut] = site.revoke_now(key)

        assert (cut.key_id, cut.tunnels, cut.streams) == (key.key_id, 2, 20)
        assert cut.milliseconds < 1_000
        await asyncio.gather(*reading)
        for flow in ups + downs:
            await flow.was_cut()
        for app, _ in pairs:
            app.close()
        with pytest.raises(ConnectionRefusedError):
            await site.app(port)
        for agent in agents:
            assert (await agent.ended()).reason == "revoked"
        assert not site.tunnels(key)


@pytest.mark.parametrize("who", ["app", "service", "both"])
async def test_a_stream_that_is_half_finished_is_cut_as_well(site: Site, who: str) -> None:
    with Target() as service:
        key = site.make_key()
        [port] = await site.offer(key, service)
        app, there = await site.pair(port, service)
        with app:
            if who != "service":
                app.finish()
                assert await there.rest() == b""
            if who != "app":
                there.finish()
            if who == "service":
                assert await app.rest() == b""
            if who == "both":
                assert await app.rest() == b""
                await until(lambda: not site.tunnels(key)[0].streams, "the end of the stream")
                site.revoke_now(key)
                return  # it was complete before: nothing is left that could be cut
            site.revoke_now(key)
            assert await (there if who == "service" else app).cut() == b""


async def test_a_revoke_cuts_what_waits_for_its_target(site: Site) -> None:
    with BlackHole() as target:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{target.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"early words")
            await until(lambda: target.knocking, "a dial to the target")
            [cut] = site.revoke_now(key)
            assert cut.streams == 1
            assert await app.cut() == b""
            await until(lambda: not target.knocking, "no dial to the target")
            await target.open()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):  # longer than the kernel waits before it knocks again
                    await target.accept()


async def test_a_revoke_touches_no_other_key(site: Site) -> None:
    async with Echo() as echo:
        key, other = site.make_key(), site.make_key("plant-2")
        [port], [other_port] = await site.offer(key, echo), await site.offer(other, echo)
        with await site.app(port) as app, await site.app(other_port) as there:
            for conversation in (app, there):
                await conversation.send(b"hello")
                assert await conversation.exactly(5) == b"hello"
            site.revoke_now(key)
            assert await app.cut() == b""
            await there.send(b"still here")
            assert await there.exactly(10) == b"still here"


async def test_a_revoked_keys_port_is_free_for_another_key(site: Site) -> None:
    async with Echo() as echo:
        key, other, port = site.make_key(), site.make_key("plant-2"), free_port()
        spec = f"{port}:{LOOPBACK}:{echo.port}"
        site.start_agent(key, spec)
        await site.attached(key)
        site.revoke_now(key)
        site.start_agent(other, spec)
        [tunnel] = await site.attached(other)
        assert tunnel.ports[0].accepted
        with await site.app(port) as app:
            await app.send(b"mine now")
            assert await app.exactly(8) == b"mine now"


class Waits:
    """How an agent waits in these tests: until it is told to go on."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self._go = asyncio.Semaphore(0)

    async def __call__(self, delay: float) -> None:
        self.delays.append(delay)
        await self._go.acquire()

    def go_on(self) -> None:
        self._go.release()


async def test_a_suspended_key_is_cut_and_its_agent_stays_until_it_is_resumed(site: Site) -> None:
    async with Echo() as echo:
        key, port, waits = site.make_key(), free_port(), Waits()
        agent = site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}", pause=waits)
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"hello")
            assert await app.exactly(5) == b"hello"
            [cut] = site.change(key, state=KeyState.SUSPENDED)
            assert (cut.tunnels, cut.streams) == (1, 1)
            assert await app.cut() == b""
        await until(lambda: len(waits.delays) == 1, "that the agent waits")
        waits.go_on()
        await until(lambda: len(waits.delays) == 2, "that the agent was refused, and waits again")
        assert all(24 <= delay <= 36 for delay in waits.delays)
        assert agent.agent.rows()[0].note == "suspended"
        with pytest.raises(ConnectionRefusedError):
            await site.app(port)

        assert site.change(key, state=KeyState.ACTIVE) == []
        waits.go_on()
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"resumed")
            assert await app.exactly(7) == b"resumed"


async def test_a_key_is_cut_when_it_expires_and_not_when_it_was_extended(site: Site) -> None:
    async with Echo() as echo:
        soon = time.time() + 0.5
        key, extended = site.make_key(expires_at=soon), site.make_key("plant-2", expires_at=soon)
        agent = site.start_agent(key, f"{(port := free_port())}:{LOOPBACK}:{echo.port}")
        [other_port] = await site.offer(extended, echo)
        await site.attached(key)
        with await site.app(port) as app, await site.app(other_port) as other:
            await app.send(b"early")
            assert await app.exactly(5) == b"early"
            site.change(extended, expires_at=soon + 3600)
            assert await app.cut() == b""
            assert time.time() >= soon
            await other.send(b"extended")
            assert await other.exactly(8) == b"extended"
        assert (await agent.ended()).reason == "expired"


async def test_the_agent_is_told_when_its_key_expires(site: Site) -> None:
    expires_at = int(time.time()) + 3600
    async with Echo() as echo:
        key = site.make_key(expires_at=float(expires_at))
        running = site.start_agent(key, f"{free_port()}:{LOOPBACK}:{echo.port}")
        await site.attached(key)
        await until(lambda: not running.agent.not_ready(), "that the agent knows that it is attached")
        attachment = running.agent._links.keepers[0].attachment
        assert attachment is not None
        assert attachment.status is not None
        assert attachment.status.expires_at == expires_at


async def test_a_tunnel_that_is_cut_comes_back_by_itself(site: Site) -> None:
    async with Echo() as echo:
        key, waits = site.make_key(), Waits()
        running = site.start_agent(key, f"{(port := free_port())}:{LOOPBACK}:{echo.port}", pause=waits)
        [tunnel] = await site.attached(key)
        with await site.app(port) as app:
            assert not site.relay.cut_tunnel("another subscription", tunnel.tunnel_id)
            assert site.relay.cut_tunnel(key.subscription_id, tunnel.tunnel_id)
            assert not site.relay.cut_tunnel(key.subscription_id, tunnel.tunnel_id)
            assert await app.cut() == b""
        await until(lambda: waits.delays, "that the agent waits")
        assert 0 <= waits.delays[0] <= 5
        waits.go_on()
        [again] = await site.attached(key)
        assert again.tunnel_id != tunnel.tunnel_id
        assert again.instance == tunnel.instance
        assert running.runs


async def test_what_would_be_cut_is_told_without_cutting_it(site: Site) -> None:
    with Target() as service:
        key = site.make_key()
        [port] = await site.offer(key, service)
        app, _ = await site.pair(port, service)
        with app:
            [would] = site.relay.would_cut([key.key_id])
            assert (would.tunnels, would.streams) == (1, 1)
            assert site.tunnels(key)[0].streams == 1


async def test_a_port_that_the_keys_rules_do_not_allow_is_not_opened(site: Site) -> None:
    async with Echo() as echo:
        allowed, other = free_port(), free_port()
        key = site.make_key(allowed_ports=frozenset({allowed}))
        specs = [f"{port}:{LOOPBACK}:{echo.port}" for port in (allowed, other)]
        site.start_agent(key, *specs)
        [tunnel] = await site.attached(key)
        assert [port.verdict for port in tunnel.ports] == [
            Verdict.SERVED.token,
            Verdict.PORT_NOT_ALLOWED.token,
        ]
        with pytest.raises(ConnectionRefusedError):
            await site.app(other)
        with await site.app(allowed) as app:
            await app.send(b"x")
            assert await app.exactly(1) == b"x"
            site.change(key, allowed_ports=frozenset())  # and what was allowed until now, ends now
            assert await app.cut() == b""
            with pytest.raises((ConnectionRefusedError, ConnectionResetError)):
                await site.app(allowed)
