"""What a key's rules and secrets allow counts when agents attach, for each stream, and as it changes."""

import asyncio
import dataclasses
import time
from ipaddress import ip_network

import pytest

from aditus.domain.relays import KeyRefusal
from aditus.wire.frames import Verdict
from tests.ends import LOOPBACK, Echo, free_port, until
from tests.raw import Wire, upgrade
from tests.world import Site

ELSEWHERE = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
HERE = (*ELSEWHERE, ip_network("127.0.0.0/8"))


class Waits:
    """How an agent waits between two tries: for as long as it takes, and the test sees that it does."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.Event().wait()


async def test_a_port_that_is_forbidden_loses_its_streams_and_its_listener_and_comes_back(
    site: Site,
) -> None:
    async with Echo() as echo:
        key, kept, lost = site.make_key(), free_port(), free_port()
        site.start_agent(key, *(f"{port}:{LOOPBACK}:{echo.port}" for port in (kept, lost)))
        await site.attached(key)
        with await site.app(kept) as stays, await site.app(lost) as goes:
            for app in (stays, goes):
                await app.send(b"hello")
                assert await app.exactly(5) == b"hello"

            site.change(key, allowed_ports=frozenset({kept}))

            assert await goes.cut() == b""
            await stays.send(b"still")
            assert await stays.exactly(5) == b"still"

            def verdicts() -> list[str]:
                [tunnel] = site.tunnels(key)
                return [port.verdict for port in tunnel.ports]

            await until(
                lambda: verdicts() == [Verdict.SERVED.token, Verdict.PORT_NOT_ALLOWED.token], "no port"
            )
            with pytest.raises(ConnectionRefusedError):
                await site.app(lost)

            site.change(key, allowed_ports=None)
            await until(lambda: verdicts() == [Verdict.SERVED.token] * 2, "the port again")
            with await site.app(lost) as again:
                await again.send(b"back")
                assert await again.exactly(4) == b"back"


async def test_a_forbidden_port_is_free_for_another_key(site: Site) -> None:
    async with Echo() as echo:
        key, other, port = site.make_key(), site.make_key("plant-2"), free_port()
        spec = f"{port}:{LOOPBACK}:{echo.port}"
        site.start_agent(key, spec)
        await site.attached(key)
        site.change(key, allowed_ports=frozenset())
        await until(lambda: not site.tunnels(key)[0].ports[0].accepted, "no port")
        site.start_agent(other, spec)
        [tunnel] = await site.attached(other)
        assert tunnel.ports[0].accepted
        with await site.app(port) as app:
            await app.send(b"x")
            assert await app.exactly(1) == b"x"


async def test_an_agent_is_let_in_from_an_allowed_address_alone(site: Site) -> None:
    async with Echo() as echo:
        key = site.make_key(allowed_sources=HERE)
        [port] = await site.offer(key, echo)
        with await site.app(port) as app:
            await app.send(b"x")
            assert await app.exactly(1) == b"x"
            [cut] = site.change(key, allowed_sources=ELSEWHERE)
            assert (cut.tunnels, cut.streams) == (1, 1)
            assert await app.cut() == b""
        await site.detached(key)


async def test_an_agent_at_another_address_stays_and_tries_again(site: Site) -> None:
    key, waits = site.make_key(allowed_sources=ELSEWHERE), Waits()
    agent = site.start_agent(key, "5432:127.0.0.1:5432", pause=waits)
    await until(lambda: waits.seconds, "that the agent waits")
    assert agent.runs
    assert 20 < waits.seconds[0] < 40
    assert not site.tunnels(key)
    [refusal] = site.relay.reporter.take().key_refusals
    assert refusal == KeyRefusal(key.key_id, "address-not-allowed", LOOPBACK, 1)


async def test_an_old_secret_works_until_its_end_and_then_its_tunnels_are_cut(site: Site) -> None:
    async with Echo() as echo:
        old = site.make_key()
        spec = f"{free_port()}:{LOOPBACK}:{echo.port}"
        late = site.start_agent(old, spec)
        await site.attached(old)
        new = site.rotate(old)
        renewed = site.start_agent(new, spec)
        await site.attached(new, 2)
        assert sorted(view.old_secret for view in site.tunnels(new)) == [False, True]

        ends_at = time.time() + 0.2
        known = site.known(old)
        site.change(old, secrets=(dataclasses.replace(known.secrets[0], ends_at=ends_at), known.secrets[1]))

        assert (await late.ended()).reason == "replaced"
        assert time.time() >= ends_at
        assert [view.old_secret for view in site.tunnels(new)] == [False]
        assert renewed.runs
        assert (await site.start_agent(old, spec).ended()).reason == "replaced"  # and it gets in no more


async def test_a_secret_that_is_dropped_is_cut_at_once(site: Site) -> None:
    key = site.make_key()
    agent = site.start_agent(key, "5432:127.0.0.1:5432")
    await site.attached(key)
    site.rotate(key, old_ends_at=time.time())
    assert not site.tunnels(key)
    assert (await agent.ended()).reason == "replaced"


async def test_what_is_used_is_reported(site: Site) -> None:
    key = site.make_key()
    site.start_agent(key, "5432:127.0.0.1:5432")
    [tunnel] = await site.attached(key)
    [use] = site.relay.reporter.take().uses
    assert (use.key_id, use.source, use.instance) == (key.key_id, LOOPBACK, tunnel.instance)
    assert use.version.startswith("aditus/")
    assert abs(use.at - time.time()) < 60
    assert site.relay.reporter.take().uses == ()
    site.relay.note_uses()  # who stays attached goes on using its key
    assert [use.key_id for use in site.relay.reporter.take().uses] == [key.key_id]


@pytest.mark.parametrize(("days", "within"), [(0.5, "1 day"), (6, "7 days"), (13.9, "14 days"), (15, None)])
async def test_agents_are_warned_that_their_key_is_about_to_expire(
    site: Site, caplog: pytest.LogCaptureFixture, days: float, within: str | None
) -> None:
    key = site.make_key(expires_at=time.time() + days * 86_400)
    site.start_agent(key, "5432:127.0.0.1:5432")
    await site.attached(key)
    told = f"expires within {within}"
    if within is None:
        assert "expires within" not in caplog.text
    else:
        await until(lambda: told in caplog.text, told)


async def test_a_running_agent_is_warned_when_the_day_comes(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    key = site.make_key(expires_at=time.time() + 7 * 86_400 + 0.3)
    site.start_agent(key, "5432:127.0.0.1:5432")
    await site.attached(key)
    await until(lambda: "expires within 14 days" in caplog.text, "the first warning")
    await until(lambda: "expires within 7 days" in caplog.text, "the second warning")


async def test_behind_a_trusted_proxy_the_forwarded_address_counts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with Site(tmp_path_factory.mktemp("proxied"), trusted_proxies=("127.0.0.0/8",)) as site:
        key = site.make_key(allowed_sources=ELSEWHERE)
        for forwarded, status in (
            ("192.0.2.7", 101),
            ("198.51.100.1, 192.0.2.7", 101),
            ("198.51.100.1", 403),
        ):
            async with await Wire.connect(site.relay_url, site.trust) as wire:
                bearer = key.signer().bearer(key.url.audience, time.time())
                headers = {**upgrade(site.relay_url, bearer), "X-Forwarded-For": forwarded}
                answer = await wire.ask(key.url.path, headers)
            assert answer.status == status
            assert answer.reason == ("address-not-allowed" if status == 403 else "")
