"""What is kept of a stream that is over: one record, which says how it ended."""

import pytest

from aditus.domain.model import KeyState
from aditus.domain.relays import StreamRecord
from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType
from tests.ends import LOOPBACK, Target, free_port, until
from tests.raw import HandAgent
from tests.world import Site


class Records:
    """The records that the relay of a site has reported."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: list[StreamRecord] = []

    async def next(self, count: int = 1) -> list[StreamRecord]:
        """The next records; there are so many, and no more."""

        def enough() -> bool:
            self._kept += self._site.relay.reporter.take().streams
            return len(self._kept) >= count

        await until(enough, f"{count} records")
        taken, self._kept = self._kept, []
        assert len(taken) == count
        return taken


async def test_a_stream_that_both_sides_finished_was_closed_and_its_bytes_are_counted(site: Site) -> None:
    with Target() as service:
        key, records = site.make_key(), Records(site)
        [port] = await site.offer(key, service)
        [tunnel] = site.tunnels(key)
        app, there = await site.pair(port, service)
        with app, there:
            await app.send(bytes(300_000))
            assert await there.exactly(300_000) == bytes(300_000)
            await there.send(b"thanks")
            there.finish()
            assert await app.rest() == b"thanks"
            name = "{}:{}".format(*app.sock.getsockname())
            app.finish()
            assert await there.rest() == b""
            [record] = await records.next()
        assert (record.key_id, record.access_key_id) == (key.key_id, key.access_key_id)
        assert (record.subscription_id, record.region) == (key.subscription_id, "local")
        assert (record.tunnel_id, record.instance) == (tunnel.tunnel_id, tunnel.instance)
        assert (record.port, record.source, record.app_id) == (port, name, "")
        assert (record.bytes_in, record.bytes_out, record.reason) == (300_000, 6, "closed")
        assert record.opened_at <= record.finished_at
        assert record.setup_ms is not None
        assert record.setup_ms > 0


async def test_an_app_that_resets_and_a_service_that_resets_are_told_apart(site: Site) -> None:
    with Target() as service:
        key, records = site.make_key(), Records(site)
        [port] = await site.offer(key, service)
        app, there = await site.pair(port, service)
        app.reset()
        assert await there.gone()
        assert [record.reason for record in await records.next()] == ["app-reset"]
        app, there = await site.pair(port, service)
        there.reset()
        assert await app.cut() == b""
        assert [record.reason for record in await records.next()] == ["target-reset"]
        app.close()


async def test_a_target_that_refuses_leaves_a_record_without_a_time_to_set_up(site: Site) -> None:
    key, port, records = site.make_key(), free_port(), Records(site)
    site.start_agent(key, f"{port}:{LOOPBACK}:{free_port()}")
    await site.attached(key)
    with await site.app(port) as app:
        assert await app.cut() == b""
    [record] = await records.next()
    assert (record.reason, record.setup_ms, record.bytes_out) == ("target-refused", None, 0)


async def test_streams_of_an_agent_that_is_lost_end_with_it(site: Site) -> None:
    with Target() as service:
        key, records = site.make_key(), Records(site)
        port = free_port()
        agent = site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}")
        await site.attached(key)
        pairs = [await site.pair(port, service) for _ in range(3)]
        await agent.stop()
        assert {record.reason for record in await records.next(3)} <= {"agent-lost", "drain"}
        for app, there in pairs:
            app.close()
            there.close()


@pytest.mark.parametrize("state", [KeyState.REVOKED, KeyState.SUSPENDED])
async def test_a_cut_key_leaves_one_record_for_each_of_its_streams(site: Site, state: KeyState) -> None:
    with Target() as service:
        key, records = site.make_key(), Records(site)
        [port] = await site.offer(key, service)
        pairs = [await site.pair(port, service) for _ in range(20)]
        site.change(key, state=state)
        for app, there in pairs:
            assert await app.cut() == b""
            app.close()
            assert await there.gone()
        kept = await records.next(20)
        assert {record.reason for record in kept} == {state.value}
        assert len({record.source for record in kept}) == 20


async def test_whatever_an_agent_gives_for_a_reason_is_kept(site: Site) -> None:
    key, port, records = site.make_key(), free_port(), Records(site)
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach(port)
        with await site.app(port) as app:
            await agent.hear(FrameType.OPEN)
            await agent.wire.say(frames.encode_reset(1, ResetReason.TARGET_TIMEOUT))
            assert await app.cut() == b""
    assert [record.reason for record in await records.next()] == ["target-timeout"]


async def test_who_is_refused_before_there_is_a_stream_leaves_no_record(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach(port)
        await agent.wire.say(frames.encode_goaway(30, "restart"))
        await agent.wire.say(frames.encode_ping(bytes(8)))
        await agent.hear(FrameType.PONG)
        with await site.app(port) as app:
            assert await app.cut() == b""
        assert not site.relay.reporter.take().streams
