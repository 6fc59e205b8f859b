"""The way from an app over its sidecar, a relay and an agent to a service, as the association says."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aditus.domain.model import KeyState
from aditus.domain.relays import StreamRecord
from aditus.sidecar.settings import LocalPort
from aditus.wire.errors import ResetReason
from tests.ends import LOOPBACK, Conversation, Echo, Target, free_port, until
from tests.world import SUBSCRIPTION, App, Beside, Key, Site


async def whole_way(site: Site, *services: Target) -> tuple[Key, App, Beside, list[int]]:
    """A key whose agent offers these services, an app of it, its sidecar; the app ports."""
    key = site.make_key()
    ports = await site.offer(key, *services)
    app = site.make_app(key=key)
    beside = site.start_sidecar(app)
    await beside.reaches(*ports)
    return key, app, beside, ports


async def is_refused(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        with await Conversation.connect(port):
            return False
    except ConnectionRefusedError:
        return True


async def records(site: Site, count: int = 1) -> list[StreamRecord]:
    """The next records that the relay keeps of streams."""
    kept: list[StreamRecord] = []

    def enough() -> bool:
        kept.extend(site.relay.reporter.take().streams)
        return len(kept) >= count

    await until(enough, f"{count} records")
    return kept


async def test_bytes_come_through_both_ways_and_each_side_may_finish_first(site: Site) -> None:
    with Target() as service:
        key, app, _, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            await client.send(b"question" * 100)
            assert await there.exactly(800) == b"question" * 100
            client.finish()
            assert await there.rest() == b""
            await there.send(b"answer" * 10_000)
            there.finish()
            assert await client.rest() == b"answer" * 10_000
        [view] = site.relay.sidecars(SUBSCRIPTION)
        assert (view.app_id, view.ports, view.bytes_in, view.bytes_out) == (app.app_id, (port,), 800, 60_000)
        [record] = await records(site)
        assert (record.app_id, record.key_id, record.reason) == (app.app_id, key.key_id, "closed")
        assert (record.port, record.bytes_in, record.bytes_out) == (port, 800, 60_000)
        assert record.setup_ms is not None


async def test_much_more_than_any_window_arrives_whole(site: Site) -> None:
    async with Echo() as service:
        _, _, _, [port] = await whole_way(site, service)
        said = bytes(range(256)) * 80_000
        with await site.app(port) as client:
            sending = asyncio.create_task(client.send(said))
            assert await client.exactly(len(said)) == said
            await sending


async def test_a_reset_on_one_side_is_a_reset_on_the_other(site: Site) -> None:
    with Target() as service:
        _, _, _, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with there:
            client.reset()
            await there.cut()
        client, there = await site.pair(port, service)
        with client:
            await there.send(b"half of it")
            assert await client.exactly(4) == b"half"
            there.reset()
            await client.cut()
        assert [record.reason for record in await records(site, 2)] == ["app-reset", "target-reset"]


async def test_local_ports_come_and_go_with_agents_and_a_fixed_one_stays_what_it_was(
    site: Site,
) -> None:
    async with Echo() as service:
        key = site.make_key()
        local, app_port = free_port(), free_port()
        beside = site.start_sidecar(site.make_app(key=key), local_ports=(LocalPort(local, app_port),))
        await until(lambda: beside.sidecar.is_up, "the sidecar is attached")
        assert await is_refused(local)
        assert beside.sidecar.not_ready() == ["no agent of the app's key offers a port now"]
        agent = site.start_agent(key, f"{app_port}:{LOOPBACK}:{service.port},alias=orders")
        await beside.reaches(app_port)
        assert beside.sidecar.ports == {app_port: "orders"}
        assert beside.sidecar.not_ready() == []
        with await site.app(local) as client:
            await client.send(b"through")
            assert await client.exactly(7) == b"through"
            await agent.stop()
            await client.cut()
        await beside.reaches()
        assert await is_refused(local)


async def test_two_apps_whose_keys_offer_the_same_port_never_meet(site: Site) -> None:
    with Target() as one, Target() as other:
        port, local_ports = free_port(), {}
        for name, service in (("one", one), ("other", other)):
            key = site.make_key(name)
            site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}")
            await site.attached(key)
            local_ports[name] = free_port()
            local = (LocalPort(local_ports[name], port),)
            await site.start_sidecar(site.make_app(name, key), local_ports=local).reaches(port)
        for name, service in (("one", one), ("other", other)):
            client, there = await site.pair(local_ports[name], service)
            with client, there:
                await client.send(name.encode())
                assert await there.exactly(len(name)) == name.encode()


async def test_the_association_decides_at_once_and_nothing_starts_anew(site: Site) -> None:
    with Target() as service, Target() as another:
        key, app, beside, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            site.associate(app, None)
            await client.cut()
            await there.cut()
        await beside.reaches()
        assert await is_refused(port)
        [record] = await records(site)
        assert record.reason == "not-associated"
        second = site.make_key("second")
        [next_port] = await site.offer(second, another)
        site.associate(app, second)
        await beside.reaches(next_port)
        client, there = await site.pair(next_port, another)
        with client, there:
            site.associate(app, key)
            await client.cut()
            await there.cut()
        await beside.reaches(port)


async def test_a_rename_of_the_app_disturbs_nobody(site: Site) -> None:
    with Target() as service:
        _, app, beside, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            site.change_app(app, credentials=site._apps[app.app_id].credentials)
            await client.send(b"still")
            assert await there.exactly(5) == b"still"
        assert beside.runs


async def test_a_revoked_key_cuts_its_apps_and_the_sidecar_serves_the_next_key(site: Site) -> None:
    with Target() as service:
        key, app, beside, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            [cut] = site.revoke_now(key)
            assert (cut.tunnels, cut.streams) == (1, 1)
            await client.cut()
            await there.cut()
        await beside.reaches()
        assert [record.reason for record in await records(site)] == ["revoked"]
        second = site.make_key("second")
        [port] = await site.offer(second, service)
        assert beside.runs
        site.associate(app, second)
        await beside.reaches(port)
        client, there = await site.pair(port, service)
        with client, there:
            await client.send(b"again")
            assert await there.exactly(5) == b"again"


def suspended(site: Site, key: Key) -> None:
    site.change(key, state=KeyState.SUSPENDED)


def expired(site: Site, key: Key) -> None:
    site.change(key, expires_at=1.0)


def port_not_allowed(site: Site, key: Key) -> None:
    site.change(key, allowed_ports=frozenset({1}))


@pytest.mark.parametrize("loses", [suspended, expired, port_not_allowed])
async def test_what_the_key_may_not_the_app_may_not(site: Site, loses: Callable[[Site, Key], Any]) -> None:
    with Target() as service:
        key, _, beside, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            loses(site, key)
            await client.cut()
            await there.cut()
        await beside.reaches()
        assert [record.reason for record in await records(site)] == [loses.__name__.replace("_", "-")]


async def test_what_the_target_refuses_is_a_reset_and_the_record_says_why(site: Site) -> None:
    key, port = site.make_key(), free_port()
    site.start_agent(key, f"{port}:{LOOPBACK}:{free_port()}")
    await site.attached(key)
    beside = site.start_sidecar(site.make_app(key=key))
    await beside.reaches(port)
    with await site.app(port) as client:
        await client.cut()
    assert [record.reason for record in await records(site)] == [ResetReason.TARGET_REFUSED.token]


async def test_a_revoked_credential_ends_its_sidecar_which_says_so(site: Site) -> None:
    with Target() as service:
        _, app, beside, [port] = await whole_way(site, service)
        client, there = await site.pair(port, service)
        with client, there:
            site.revoke_credential(app)
            await client.cut()
            await there.cut()
        ended = await beside.ended()
        assert (ended.reason, ended.message) == (
            "revoked",
            "The app's credential was revoked, or the app was deleted.",
        )
        assert (await site.start_sidecar(app).ended()).reason == "revoked"


async def test_a_credential_that_nobody_knows_is_refused(site: Site) -> None:
    app = site.make_app()
    site.change_app(app, credentials=())
    assert (await site.start_sidecar(app).ended()).reason == "bad-proof"


async def test_the_credential_of_another_app_is_refused_with_its_name(site: Site) -> None:
    app = site.make_app("reports")
    ended = await site.start_sidecar(app, app_name="billing").ended()
    assert (ended.reason, ended.code.value) == ("other-app", "invalid")
    assert ended.message == "The credential is of the app reports, not of billing."


async def test_an_app_without_a_key_is_not_ready_and_hears_why(site: Site) -> None:
    beside = site.start_sidecar(site.make_app())
    await until(lambda: beside.sidecar.is_up, "the sidecar is attached")
    assert beside.sidecar.not_ready() == [
        "no agent of the app's key offers a port now",
        "the app is associated with no access key; an administrator can do that",
    ]


async def test_an_app_that_is_named_by_its_id_is_meant_as_well(site: Site) -> None:
    app = site.make_app("reports")
    beside = site.start_sidecar(app, app_name=app.app_id)
    await until(lambda: beside.sidecar.is_up, "the sidecar is attached")


async def test_a_local_port_that_is_taken_is_said_and_had_when_it_is_free(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aditus.sidecar.sidecar.AGAIN_SECONDS", 0.05)
    with Target() as service:
        local = free_port()
        key = site.make_key()
        [app_port] = await site.offer(key, service)
        with Target(port=local):
            local_ports = (LocalPort(local, app_port),)
            beside = site.start_sidecar(site.make_app(key=key), local_ports=local_ports)
            said = [f"local port {local}: another program has it"]
            await until(lambda: beside.sidecar.not_ready() == said, "it is said")
        await beside.reaches(app_port)
        assert beside.sidecar.not_ready() == []
