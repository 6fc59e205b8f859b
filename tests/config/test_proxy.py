"""Through which proxy a relay is dialled: the named one, else that of the environment, as curl reads it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.config.proxy import Proxy, is_excepted, proxy_for
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError
from aditus.domain.keytext import SecretText
from tests.config.given import surroundings

RELAY = RelayUrl("relay.example.com", 443)


def found(named: str | None = None, relay: RelayUrl = RELAY, **env: str) -> Proxy | None:
    return proxy_for(relay, named, surroundings(Path("/"), **env))


def test_nothing_said_means_directly() -> None:
    assert found() is None
    assert found(https_proxy="", HTTPS_PROXY=" ") is None
    assert found(http_proxy="http://not-for-wss:1") is None


def test_the_option_goes_before_every_variable() -> None:
    proxy = found("http://named:3128", HTTPS_PROXY="http://other:3128", NO_PROXY="*")
    assert proxy == Proxy(SecretText("http://named:3128"), "--proxy")
    assert found("off", HTTPS_PROXY="http://other:3128") is None


@pytest.mark.parametrize(
    ("env", "source"),
    [
        ({"HTTPS_PROXY": "http://upper:1"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": "http://upper:1", "https_proxy": "http://lower:1"}, "https_proxy"),
        ({"ALL_PROXY": "socks5h://all:1", "https_proxy": "http://lower:1"}, "https_proxy"),
        ({"ALL_PROXY": "socks5h://all:1"}, "ALL_PROXY"),
    ],
)
def test_the_first_variable_counts(env: dict[str, str], source: str) -> None:
    proxy = proxy_for(RELAY, None, surroundings(Path("/"), **env))
    assert proxy is not None
    assert (proxy.url.reveal(), proxy.source) == (env[source].replace("socks5h", "socks5"), source)


@pytest.mark.parametrize(
    ("named", "dialled"),
    [
        ("http://proxy.corp", "http://proxy.corp:80"),
        ("http://u:p%40ss@proxy.corp:/", "http://u:p%40ss@proxy.corp:80"),
        ("socks5://proxy.corp", "socks5://proxy.corp:1080"),
        ("socks5h://u:p@[2001:db8::1]", "socks5://u:p@[2001:db8::1]:1080"),
    ],
)
def test_what_is_not_said_is_the_usual(named: str, dialled: str) -> None:
    proxy = found(named)
    assert proxy is not None
    assert proxy.url.reveal() == dialled


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("https://u:hunter2@proxy.corp:3129", "no TLS"),
        ("socks4://u:hunter2@proxy.corp:1080", "with one of http, socks5, socks5h"),
        ("socks5://u:hunter2%C3%BC@proxy.corp:1080", "ASCII letters"),
        (f"socks5://u:hunter2{'x' * 250}@proxy.corp:1080", "255"),
        ("http://u:hunter2ü@proxy.corp:3128", "scheme://"),
    ],
)
def test_what_no_agent_could_use_is_refused_at_the_start(named: str, why: str) -> None:
    with pytest.raises(AditusError) as refused:
        found(named)
    assert why in refused.value.message
    assert "hunter2" not in str(refused.value)


def test_a_variable_without_a_scheme_means_http() -> None:
    proxy = found(HTTPS_PROXY="user:hunter2@proxy.corp:3128")
    assert proxy is not None
    assert proxy.url.reveal() == "http://user:hunter2@proxy.corp:3128"
    assert proxy.shown == "http://proxy.corp:3128"
    assert "hunter2" not in repr(proxy)
    bracketed = found("socks5://u:hunter2@[2001:db8::1]:1080")
    assert bracketed is not None
    assert bracketed.shown == "socks5://[2001:db8::1]:1080"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_no_variable_sends_elsewhere_what_is_on_this_machine(host: str) -> None:
    relay = RelayUrl(host, 8443)
    assert found(relay=relay, HTTPS_PROXY="http://proxy:3128") is None
    assert found("http://proxy:3128", relay=relay) is not None  # somebody means it


@pytest.mark.parametrize(
    ("host", "port", "exceptions", "excepted"),
    [
        ("relay.example.com", 443, "*", True),
        ("relay.example.com", 443, "relay.example.com", True),
        ("relay.example.com", 443, "RELAY.Example.COM.", True),
        ("relay.example.com", 443, "example.com", True),
        ("relay.example.com", 443, ".example.com", True),
        ("relay.example.com", 443, "*.example.com", True),
        ("relay.example.com", 443, "other.org, example.com", True),
        ("relay.example.com", 443, "other.org example.com", True),
        ("relay.example.com", 443, "ample.com", False),
        ("relay.example.com", 443, "relay.example.com.evil.org", False),
        ("relay.example.com", 443, "example.com:443", True),
        ("relay.example.com", 8443, "example.com:443", False),
        ("relay.example.com", 443, "10.0.0.0/8", False),
        ("relay.example.com", 443, ",, . ,*.", False),
        ("10.1.2.3", 443, "10.0.0.0/8", True),
        ("10.1.2.3", 443, "10.1.2.3", True),
        ("10.1.2.3", 443, "10.1.2.3:443", True),
        ("10.1.2.3", 443, "11.0.0.0/8", False),
        ("10.1.2.3", 443, "2.3", False),
        ("2001:db8::7", 443, "2001:db8::/32", True),
        ("2001:db8::7", 443, "[2001:db8::7]", True),
        ("2001:db8::7", 443, "[2001:db8::7]:443", True),
        ("2001:db8::7", 8443, "[2001:db8::7]:443", False),
        ("2001:db8::7", 443, "2001:db8:1::/48", False),
    ],
)
def test_no_proxy_names_hosts_domains_addresses_and_networks(
    host: str, port: int, exceptions: str, excepted: bool
) -> None:
    assert is_excepted(RelayUrl(host, port), exceptions) is excepted
    through = found(relay=RelayUrl(host, port), HTTPS_PROXY="http://proxy:3128", no_proxy=exceptions)
    assert (through is None) is excepted


@given(st.text(max_size=60))
def test_whatever_stands_in_no_proxy_is_read(exceptions: str) -> None:
    for host in ("relay.example.com", "10.1.2.3", "2001:db8::7"):
        assert is_excepted(RelayUrl(host, 443), exceptions) in (True, False)
    assert is_excepted(RELAY, f"{exceptions},relay.example.com")  # nothing before it gets in its way


@pytest.mark.parametrize(
    "text", ["ftp://hunter2@proxy", "http://", "http://u:hunter2@proxy:no", "http://[::1"]
)
def test_a_bad_proxy_is_refused_by_who_named_it_without_echo(text: str) -> None:
    for source in ("--proxy", "HTTPS_PROXY"):
        with pytest.raises(AditusError) as refused:
            found(text) if source == "--proxy" else found(HTTPS_PROXY=text)
        assert refused.value.message.startswith(f"{source} ")
        assert "hunter2" not in str(refused.value)
