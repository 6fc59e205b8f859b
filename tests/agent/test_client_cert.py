"""A real balancer in front of the relay wants a client certificate: with one, without, and with another's."""

import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aditus.agent.doctor import Doctor, Finding
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError
from aditus.net import tls
from tests.certificates import issued, openssl
from tests.ends import LOOPBACK, Echo, free_port
from tests.middleboxes import Balancer, HAProxy, Nginx
from tests.world import Key, Site

BALANCERS = [
    pytest.param(Nginx, marks=pytest.mark.needs("nginx"), id="nginx"),
    pytest.param(HAProxy, marks=pytest.mark.needs("haproxy"), id="haproxy"),
]


@pytest.fixture
def front() -> int:
    return free_port()


@pytest.fixture
async def site(tmp_path: Path, front: int) -> AsyncIterator[Site]:
    folder = tmp_path / "relay"
    folder.mkdir()
    async with Site(folder, also_called=(f"localhost:{front}",)) as site:
        yield site


def fronted(site: Site, front: int) -> Key:
    key = site.make_key()
    return dataclasses.replace(key, url=key.url.at(RelayUrl("localhost", front)))


async def doctor(key: Key, trust: ssl.SSLContext) -> list[Finding]:
    found: list[Finding] = []
    await Doctor([key.url], [], {}, trust, key.signer(), found.append).run()
    return found


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("in_one_file", [True, False])
async def test_with_the_certificate_the_agent_gets_in(
    site: Site, front: int, tmp_path: Path, balancer: type[Balancer], in_one_file: bool
) -> None:
    ca, *shown = issued(tmp_path / "agents", in_one_file=in_one_file)
    trust = tls.client_context(site.folder / "ca.pem", (shown[0], shown[1]))
    key, port = fronted(site, front), free_port()
    with balancer(front, site.relay_url.port, site.certificate, client_ca=ca):
        async with Echo() as echo:
            agent = site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}", trust=trust)
            await site.attached(key)
            with await site.app(port) as app:
                await app.send(b"known at the gate")
                assert await app.exactly(17) == b"known at the gate"
            await agent.stop()
            await site.detached(key)
        assert [one.verdict for one in await doctor(key, trust)] == ["ok"] * 5


@pytest.mark.needs("openssl")
@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("has", ["none", "another's"])
async def test_without_it_the_agent_says_so(
    site: Site, front: int, tmp_path: Path, balancer: type[Balancer], has: str
) -> None:
    async def pause(_: float) -> None: ...

    ca, *_ = issued(tmp_path / "agents")
    _, cert, private = issued(tmp_path / "strangers")
    trust = tls.client_context(site.folder / "ca.pem", (cert, private) if has == "another's" else None)
    key = fronted(site, front)
    with balancer(front, site.relay_url.port, site.certificate, client_ca=ca):
        error = await site.start_agent(key, "1:127.0.0.1:1", trust=trust, pause=pause).ended()
        finding = (await doctor(key, trust))[-1]
    assert error.reason == "client-certificate"
    assert "wants a client certificate" in error.message
    assert finding.verdict == "failure"
    assert "wants a client certificate" in finding.text
    assert "--client-cert" in error.remedy
    assert "--client-cert" in finding.remedy


@pytest.mark.needs("openssl", "haproxy")
async def test_with_tls_12_the_alert_is_of_no_kind_and_the_remedy_names_it(
    site: Site, front: int, tmp_path: Path
) -> None:
    async def pause(_: float) -> None: ...

    ca, *_ = issued(tmp_path / "agents")
    trust = tls.client_context(site.folder / "ca.pem")
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    key = fronted(site, front)
    with HAProxy(front, site.relay_url.port, site.certificate, client_ca=ca):
        error = await site.start_agent(key, "1:127.0.0.1:1", trust=trust, pause=pause).ended()
        [finding] = await doctor(key, trust)
    assert "--client-cert" in error.remedy
    assert "--client-cert" in finding.remedy


@pytest.mark.needs("openssl")
def test_an_encrypted_key_is_refused_with_the_way_out(tmp_path: Path) -> None:
    _, cert, key = issued(tmp_path / "agents")
    locked = tmp_path / "locked.pem"
    openssl(tmp_path, f"pkey -in {key} -aes256 -passout pass:hunter2 -out locked.pem")
    with pytest.raises(AditusError) as refused:
        tls.client_context(None, (cert, locked))
    assert refused.value.reason == "encrypted-key"
    assert "openssl pkey" in refused.value.remedy


@pytest.mark.needs("openssl")
def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    _, cert, _ = issued(tmp_path / "agents")
    _, _, key = issued(tmp_path / "others")
    for wrong in ((cert, key), (cert, cert), (tmp_path / "none", key)):
        with pytest.raises(AditusError) as refused:
            tls.client_context(None, wrong)
        assert refused.value.reason == "bad-certificate"
