"""What the doctor says at each step of the way: the real thing is in the way each time."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest

from aditus.agent.doctor import Doctor, Finding, Verdict
from aditus.domain.connect_url import ConnectUrl, RelayUrl
from aditus.domain.errors import Code
from aditus.domain.model import KeyState
from aditus.domain.spec import parse_specs
from aditus.net import tls
from aditus.net.reach import Step, Stuck, reach
from tests.ends import LOOPBACK, Echo, free_port, soon
from tests.middleboxes import Nginx, Squid
from tests.world import Key, Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


async def look(
    site: Site,
    url: ConnectUrl,
    key: Key | None = None,
    *,
    specs: tuple[str, ...] = (),
    proxy: str = "",
    trust: ssl.SSLContext | None = None,
) -> list[Finding]:
    """What the doctor finds, in its order."""
    found: list[Finding] = []
    doctor = Doctor(
        urls=[url],
        specs=parse_specs(specs),
        proxies={url.relay: proxy} if proxy else {},
        tls=trust or site.trust,
        signer=key.signer() if key else None,
        tell=found.append,
    )
    await soon(doctor.run())
    assert all(finding.about for finding in found)
    return found


def checks(found: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(finding.check, finding.verdict) for finding in found]


@contextlib.asynccontextmanager
async def answering(site: Site, answer: str) -> AsyncIterator[ConnectUrl]:
    """A server with the relay's certificate that answers everything so."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer.encode())
        writer.close()

    server = await asyncio.start_server(say, LOOPBACK, 0, ssl=tls.server_context(*site.certificate))
    async with server:
        yield RelayUrl("localhost", server.sockets[0].getsockname()[1]).connect()


async def test_all_is_well(site: Site) -> None:
    key = site.make_key()
    async with Echo() as echo:
        found = await look(site, key.url, key, specs=(f"5432:{LOOPBACK}:{echo.port}",))
    assert checks(found) == [
        (check, Verdict.OK) for check in ("tcp", "tls", "answer", "clock", "key", "target")
    ]
    assert "development CA" in found[1].text
    assert site.tunnels(key) == []  # nothing was attached


async def test_nobody_is_at_the_address(site: Site) -> None:
    [finding] = await look(site, RelayUrl("localhost", free_port()).connect())
    assert (finding.check, finding.code) == ("tcp", Code.UNAVAILABLE)
    assert "refused" in finding.text
    assert "--proxy" in finding.remedy


async def test_a_name_has_no_address(site: Site) -> None:
    with pytest.raises(Stuck) as stuck:
        await reach("a" * 64 + ".example", 443, "/connect", site.trust)  # too long to ask anybody for
    assert stuck.value.step is Step.NAME


async def test_the_certificate_is_not_trusted(site: Site) -> None:
    found = await look(site, site.relay_url.connect(), trust=ssl.create_default_context())
    assert checks(found) == [("tls", Verdict.FAILURE)]
    assert "not trusted" in found[0].text
    assert "--ca-file" in found[0].remedy


@pytest.mark.parametrize("status", ["403 Forbidden", "502 Bad Gateway", "200 OK"])
async def test_something_else_answers(site: Site, status: str) -> None:
    async with answering(site, f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n") as url:
        found = await look(site, url)
    assert found[-1].check == "answer"
    assert f"HTTP {status[:3]}" in found[-1].text
    assert "load balancer" in found[-1].remedy


@pytest.mark.parametrize("answer", ["SSH-2.0-OpenSSH_9.2\r\n\r\n", "", "HTTP/1.1 no\r\n\r\n", "x" * 20_000])
async def test_what_answers_does_not_speak_http(site: Site, answer: str) -> None:
    async with answering(site, answer) as url:
        found = await look(site, url)
    assert checks(found) == [("answer", Verdict.FAILURE)]


async def test_the_clock_is_wrong_by_a_day(site: Site) -> None:
    late = formatdate(time.time() + 86_400, usegmt=True)
    head = f"HTTP/1.1 404 Not Found\r\nAditus-Reason: no-such-url\r\nDate: {late}\r\n\r\n"
    async with answering(site, head) as url:
        found = await look(site, url)
    assert checks(found)[-1] == ("clock", Verdict.WARNING)
    assert "86400 s behind" in found[-1].text or "86399 s behind" in found[-1].text


@pytest.mark.parametrize(
    ("state", "word", "code"),
    [
        (KeyState.REVOKED, "revoked", Code.FORBIDDEN),
        (KeyState.SUSPENDED, "suspended", Code.FORBIDDEN),
        (KeyState.EXPIRED, "expired", Code.FORBIDDEN),
    ],
)
async def test_the_key_is_refused(site: Site, state: KeyState, word: str, code: Code) -> None:
    key = site.make_key()
    site.change(key, state=state)
    finding = (await look(site, key.url, key))[-1]
    assert (finding.check, finding.verdict, finding.code) == ("key", Verdict.FAILURE, code)
    assert word in finding.text


async def test_there_is_no_such_connect_url(site: Site) -> None:
    key = site.make_key()
    finding = (await look(site, site.relay_url.connect("4gT0example"), key))[-1]
    assert (finding.check, finding.code) == ("key", Code.NOT_FOUND)


async def test_each_target_is_looked_at(site: Site) -> None:
    async with Echo() as echo:
        specs = (f"1:{LOOPBACK}:{free_port()}", f"2:{LOOPBACK}:{echo.port}")
        found = await look(site, site.relay_url.connect(), specs=specs)
    assert [(one.about, one.verdict) for one in found[-2:]] == [
        (specs[0], Verdict.FAILURE),
        (specs[1], Verdict.OK),
    ]
    assert "refused" in found[-2].text


@pytest.mark.needs("squid", "openssl")
async def test_a_proxy_lets_through_with_its_password_and_says_when_it_is_another(site: Site) -> None:
    key = site.make_key()
    with Squid("me", "s3cret") as squid:
        found = await look(site, key.url, key, proxy=squid.url)
        assert checks(found)[0] == ("proxy", Verdict.OK)
        assert checks(found)[-1] == ("key", Verdict.OK)
        [refused] = await look(site, key.url, key, proxy=squid.url.replace("s3cret", "hunter2"))
    assert (refused.check, refused.code) == ("proxy", Code.UNAVAILABLE)
    assert "another user and password" in refused.text
    assert "hunter2" not in refused.text + refused.remedy


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("status", [403, 404, 502])
async def test_a_balancers_block_page_is_no_word_about_the_key(site: Site, status: int) -> None:
    key, port = site.make_key(), free_port()
    url = key.url.at(RelayUrl("localhost", port))
    with Nginx(port, site.relay_url.port, site.certificate, block_page=status):
        found = await look(site, url, key)
    assert checks(found) == [("tcp", Verdict.OK), ("tls", Verdict.OK), ("answer", Verdict.FAILURE)]
    assert found[-1].code is Code.UNAVAILABLE
    assert f"HTTP {status}" in found[-1].text
