"""`aditus keys verify --online`: a real relay says what it thinks of a secret; nothing is attached."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest

from aditus.crypto import devca
from aditus.domain.keytext import format_access_key, parse_access_key
from aditus.domain.model import KeyState
from aditus.net import link
from tests.certificates import issued
from tests.cli.run import Ended, run
from tests.ends import LOOPBACK, free_port
from tests.middleboxes import Nginx, Squid
from tests.world import REGION, Key, Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    folder = tmp_path / "relay"
    folder.mkdir()
    async with Site(folder) as site:
        yield site


async def asked(site: Site, key: Key, *words: str) -> Ended:
    """What somebody hears who has the secret of this key, and the name of the relay."""
    file = site.folder / "secret"
    file.write_text(key.secret.reveal())
    file.chmod(0o600)
    options = ("--online", "--ca-file", str(site.folder / "ca.pem"), *words)
    return await asyncio.to_thread(run, "keys", "verify", str(file), *options)


async def test_a_relay_accepts_a_key_and_has_no_tunnel_of_it(site: Site) -> None:
    key = site.make_key()
    ended = await asked(site, key, "--relay", str(site.relay_url))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"The relay {site.relay_url} accepts the key {key.key_id} of the region {REGION}.\n"
    ended = await asked(site, key, "--relay", str(site.relay_url), "-o", "json")
    told = {"valid": True, "key_id": key.key_id, "region": REGION, "accepted": True, "reason": ""}
    assert json.loads(ended.out) == told
    assert not site.tunnels(key)


async def test_an_agent_that_is_attached_is_left_alone(site: Site) -> None:
    key = site.make_key()
    site.start_agent(key, "5432:127.0.0.1:5432")
    before = [view.tunnel_id for view in await site.attached(key)]
    assert (await asked(site, key, "--relay", str(site.relay_url))).code == 0
    assert [view.tunnel_id for view in site.tunnels(key)] == before


def replaced(site: Site, key: Key) -> None:
    site.rotate(key, old_ends_at=time.time() - 1)


REFUSALS: dict[str, Callable[[Site, Key], object]] = {
    "suspended": lambda site, key: site.change(key, state=KeyState.SUSPENDED),
    "revoked": lambda site, key: site.revoke_now(key),
    "expired": lambda site, key: site.change(key, expires_at=time.time() - 1),
    "replaced": replaced,
    "address-not-allowed": lambda site, key: site.change(key, allowed_sources=(ip_network("192.0.2.0/24"),)),
}


@pytest.mark.parametrize("reason", REFUSALS)
async def test_a_relay_says_why_it_refuses_a_key(site: Site, reason: str) -> None:
    key = site.make_key()
    REFUSALS[reason](site, key)
    ended = await asked(site, key, "--relay", str(site.relay_url), "-o", "json")
    told = json.loads(ended.out)
    assert (ended.code, told["accepted"], told["reason"]) == (3, False, reason)
    assert ended.err.startswith("aditus: ")
    assert key.secret.reveal() not in ended.said


@pytest.mark.parametrize(("region", "reason"), [("elsewhere", "wrong-region"), (REGION, "bad-proof")])
async def test_a_key_of_somewhere_else_is_refused(site: Site, region: str, reason: str) -> None:
    key = site.make_key()
    parsed = parse_access_key(key.secret.reveal())
    forged = dataclasses.replace(key, secret=format_access_key(region, key.key_id, parsed.secret[::-1]))
    ended = await asked(site, forged, "--relay", str(site.relay_url), "-o", "json")
    assert (ended.code, json.loads(ended.out)["reason"]) == (3, reason)


async def test_a_wrong_clock_is_said_and_is_not_in_the_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SimpleNamespace(time=lambda: time.time() - 3600, monotonic=time.monotonic)
    monkeypatch.setattr(link, "time", slow)  # of the dialer alone
    ended = await asked(site, site.make_key(), "--relay", str(site.relay_url))
    assert ended.code == 0
    assert "s behind the relay's" in ended.err


async def test_who_is_not_the_relay_says_nothing_about_the_key(site: Site, tmp_path: Path) -> None:
    key = site.make_key()
    nobody = f"wss://{LOOPBACK}:{free_port()}"
    ended = await asked(site, key, "--relay", nobody, "-o", "json")
    assert (ended.code, ended.out) == (6, "")
    other = tmp_path / "other"
    other.mkdir()
    ca_file = devca.ensure(other, [], time.time()).ca
    ended = await asked(site, key, "--relay", str(site.relay_url), "--ca-file", str(ca_file))
    assert (ended.code, ended.out) == (6, "")
    assert "is not trusted" in ended.err


async def test_the_relay_is_found_where_connect_finds_it(
    site: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = site.make_key()
    assert "--relay" in (await asked(site, key)).err
    assert run("configure", "--profile", "eu", "--relay", str(site.relay_url)).code == 0
    assert (home / ".aditus" / "credentials").exists()
    assert (await asked(site, key, "--profile", "eu")).code == 0
    assert (await asked(site, key, "--profile", "us")).code == 2
    monkeypatch.setenv("ADITUS_RELAY", str(site.relay_url))
    assert (await asked(site, key)).code == 0


def test_offline_nothing_is_dialled() -> None:
    ended = run("keys", "verify", "nothing", "--relay", "wss://relay.example.com")
    assert (ended.code, ended.out) == (2, "")
    assert "--online" in ended.err


@pytest.mark.needs("nginx", "openssl")
async def test_a_balancer_that_wants_a_certificate_is_no_word_about_the_key(
    site: Site, tmp_path: Path
) -> None:
    ca, cert, _ = issued(tmp_path / "agents", in_one_file=True)
    cert.chmod(0o600)
    port = free_port()
    key = site.make_key()
    with Nginx(port, site.relay_url.port, site.certificate, client_ca=ca):
        where = ("--relay", f"wss://localhost:{port}")
        ended = await asked(site, key, *where, "-o", "json")
        assert (ended.code, ended.out) == (6, "")
        assert "wants a client certificate" in ended.err
        ended = await asked(site, key, *where, "--client-cert", str(cert))
        assert (ended.code, "does not go by this name" in ended.err) == (3, True)  # the relay's own word


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("status", [403, 404, 502])
async def test_a_block_page_is_no_word_about_the_key(site: Site, status: int) -> None:
    port = free_port()
    with Nginx(port, site.relay_url.port, site.certificate, block_page=status):
        ended = await asked(site, site.make_key(), "--relay", f"wss://localhost:{port}", "-o", "json")
    assert (ended.code, ended.out) == (6, "")
    assert f"HTTP {status}" in ended.err


@pytest.mark.needs("squid", "openssl")
async def test_a_proxy_s_page_is_no_word_about_the_key(site: Site) -> None:
    """Squid answers 407 to another password, and 503 where nobody is behind it."""
    nobody = f"wss://localhost:{free_port()}"
    with Squid("me", "s3cret") as squid:
        wrong = squid.url.replace("s3cret", "hunter2")
        for where, proxy, says in (
            (str(site.relay_url), wrong, "another user and password"),
            (nobody, squid.url, "HTTP 503"),
        ):
            ended = await asked(site, site.make_key(), "--relay", where, "--proxy", proxy, "-o", "json")
            assert (ended.code, ended.out) == (6, "")
            assert says in ended.err
            assert "hunter2" not in ended.said
