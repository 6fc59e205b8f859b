"""Out through what real networks have in the way: a real Squid, a real nginx, a real HAProxy."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.domain.connect_url import RelayUrl
from tests.ends import LOOPBACK, Echo, Target, free_port, soon
from tests.middleboxes import HAProxy, Nginx, Squid
from tests.world import Key, Site


@pytest.fixture
def front() -> int:
    """The port where a balancer stands in front of the relay."""
    return free_port()


@pytest.fixture
async def site(tmp_path: Path, front: int) -> AsyncIterator[Site]:
    async with Site(tmp_path, also_called=(f"localhost:{front}",)) as site:
        yield site


def fronted(site: Site, front: int) -> Key:
    """A key whose Connect URL leads to the balancer."""
    key = site.make_key()
    return dataclasses.replace(key, url=key.url.at(RelayUrl("localhost", front)))


async def carries(site: Site, key: Key, proxy: str | None = None) -> None:
    """An agent with this key serves an app: a megabyte goes both ways, and a half-close comes through."""
    async with Echo() as echo:
        port = free_port()
        agent = site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}", proxy=proxy)
        await site.attached(key)
        with await site.app(port) as app:
            sent = bytes(range(256)) * 4096
            await app.send(sent)
            app.finish()
            assert await app.rest() == sent
        await agent.stop()
        await site.detached(key)


@pytest.mark.needs("squid", "openssl")
async def test_through_squid_with_a_password(site: Site) -> None:
    with Squid("me", "s3cret") as squid:
        await carries(site, site.make_key(), proxy=squid.url)


@pytest.mark.needs("squid", "openssl")
async def test_squid_wants_another_password(site: Site) -> None:
    async def pause(_: float) -> None: ...

    with Squid("me", "s3cret") as squid:
        proxy = squid.url.replace("s3cret", "hunter2")
        error = await site.start_agent(site.make_key(), "1:127.0.0.1:1", proxy=proxy, pause=pause).ended()
    assert error.reason == "proxy-password"
    assert "hunter2" not in str(error)


@pytest.mark.needs("nginx")
async def test_to_a_relay_behind_nginx(site: Site, front: int) -> None:
    with Nginx(front, site.relay_url.port, site.certificate):
        await carries(site, fronted(site, front))


@pytest.mark.needs("haproxy")
async def test_to_a_relay_behind_haproxy(site: Site, front: int) -> None:
    with HAProxy(front, site.relay_url.port, site.certificate):
        await carries(site, fronted(site, front))


@pytest.mark.needs("squid", "openssl", "haproxy")
async def test_through_squid_to_a_relay_behind_haproxy(site: Site, front: int) -> None:
    with HAProxy(front, site.relay_url.port, site.certificate), Squid("me", "s3cret") as squid:
        await carries(site, fronted(site, front), proxy=squid.url)


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("status", [403, 404, 502])
async def test_a_block_page_is_never_aditus_own_word(site: Site, front: int, status: int) -> None:
    """It is tried again, however often it comes: what ends here is the patience before the first attach."""
    tries: list[float] = []

    async def pause(delay: float) -> None:
        tries.append(delay)

    with Nginx(front, site.relay_url.port, site.certificate, block_page=status):
        key = fronted(site, front)
        error = await site.start_agent(key, "1:127.0.0.1:1", pause=pause).ended()
    assert error.reason == "not-the-relay"  # after the ten tries of one that was never attached
    assert f"HTTP {status}" in error.message
    assert len(tries) == 9


@pytest.mark.needs("nginx")
async def test_a_relay_that_is_away_behind_nginx_is_a_502_and_then_there_again(
    site: Site, front: int
) -> None:
    """Its 502 is tried again like any failure; the relay is started meanwhile, here by another nginx."""
    with Target() as away:
        nowhere = away.port
    key, back = fronted(site, front), asyncio.Event()

    async def pause(_: float) -> None:
        back.set()
        await asyncio.sleep(0.05)

    async with Echo() as echo:
        with Nginx(front, nowhere, site.certificate):
            site.start_agent(key, f"{free_port()}:{LOOPBACK}:{echo.port}", pause=pause, infinite_retries=True)
            await soon(back.wait())
        with Nginx(front, site.relay_url.port, site.certificate):
            await site.attached(key)
