"""Out through a SOCKS 5 proxy, a real one: the agent, and the doctor by the same way."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.agent.doctor import Doctor, Finding
from aditus.domain.connect_url import RelayUrl
from aditus.net import proxy as way_out
from tests.ends import LOOPBACK, Echo, Target, free_port
from tests.middleboxes import Microsocks
from tests.world import Key, Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


async def carries(site: Site, key: Key, proxy: str) -> None:
    """An agent with this key serves an app through the proxy, both ways and to the half-close."""
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


async def refused(site: Site, proxy: str, relay: RelayUrl | None = None) -> tuple[str, str]:
    """Why an agent cannot get out, as reason and text; it has tried ten times."""
    tries = 0

    async def pause(_: float) -> None:
        nonlocal tries
        tries += 1

    key = site.make_key()
    urls = (key.url.at(relay),) if relay else ()
    error = await site.start_agent(key, "1:127.0.0.1:1", urls=urls, proxy=proxy, pause=pause).ended()
    assert tries == 9
    return error.reason, error.message


async def doctor(site: Site, key: Key, proxy: str, relay: RelayUrl | None = None) -> list[Finding]:
    found: list[Finding] = []
    url = key.url.at(relay) if relay else key.url
    await Doctor([url], [], {url.relay: proxy}, site.trust, key.signer(), found.append).run()
    return found


@pytest.mark.needs("microsocks")
async def test_without_a_password(site: Site) -> None:
    with Microsocks() as socks:
        await carries(site, site.make_key(), socks.url)


@pytest.mark.needs("microsocks")
async def test_with_a_password(site: Site) -> None:
    with Microsocks("me", "s3:cret") as socks:
        await carries(site, site.make_key(), socks.url.replace("s3:cret", "s3%3Acret"))


@pytest.mark.needs("microsocks")
async def test_the_proxy_resolves_the_name_of_the_relay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo

    async def knows_no_names(host: str, *words: object, **more: object) -> object:
        if host == "localhost":
            raise socket.gaierror(socket.EAI_NONAME, "inside, no name of the outside is known")
        return await resolve(host, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "getaddrinfo", knows_no_names)
    key = site.make_key()
    with Microsocks() as socks:
        await carries(site, key, socks.url)
        assert [one.verdict for one in await doctor(site, key, socks.url)] == ["ok"] * 5


@pytest.mark.needs("microsocks")
@pytest.mark.parametrize("given", ["me:hunter2@", ""])
async def test_it_wants_another_password(site: Site, given: str) -> None:
    with Microsocks("me", "s3cret") as socks:
        proxy = socks.url.replace("me:s3cret@", given)
        reason, message = await refused(site, proxy)
        [finding] = await doctor(site, site.make_key(), proxy)
    assert reason == "proxy-password"
    assert (finding.check, finding.verdict) == ("proxy", "failure")
    assert "another user and password" in finding.text
    assert "hunter2" not in message + finding.text + finding.remedy


@pytest.mark.needs("microsocks")
async def test_it_does_not_reach_the_relay(site: Site) -> None:
    nobody = RelayUrl("localhost", free_port())
    with Microsocks() as socks:
        reason, message = await refused(site, socks.url, nobody)
        [finding] = await doctor(site, site.make_key(), socks.url, nobody)
    assert reason == "unreachable"
    for text in (message, finding.text):
        assert "the proxy does not let us through: connection refused by destination host" in text


async def test_it_is_not_there(site: Site) -> None:
    proxy = f"socks5://me:hunter2@{LOOPBACK}:{free_port()}"
    _, message = await refused(site, proxy)
    [finding] = await doctor(site, site.make_key(), proxy)
    for text in (message, finding.text):
        assert "the proxy cannot be reached: connection refused" in text
        assert "hunter2" not in text


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_it_says_nothing(site: Site, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(way_out, "PROXY_SECONDS", 0.1)
    with Target() as silent:  # the kernel accepts, nobody reads
        proxy = f"{scheme}://{LOOPBACK}:{silent.port}"
        reason, message = await refused(site, proxy)
        [finding] = await doctor(site, site.make_key(), proxy)
    assert reason == "unreachable"
    for text in (message, finding.text):
        assert "the proxy did not connect us within 0.1 s" in text


@pytest.mark.needs("microsocks")
async def test_it_speaks_something_else(site: Site) -> None:
    with Microsocks() as socks:
        reason, message = await refused(site, socks.url.replace("socks5://", "http://"))
    assert reason == "unreachable"
    assert "the proxy closed the connection" in message or "no HTTP proxy" in message
    async with Echo() as echo:
        reason, message = await refused(site, f"socks5://{LOOPBACK}:{echo.port}")
    assert "the proxy does not let us through" in message
