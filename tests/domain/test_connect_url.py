"""Connect URLs and relay URLs have one normal form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain.connect_url import ConnectUrl, RelayUrl, parse_relay_url
from aditus.domain.errors import AditusError, Code

ID = "0aB" + "x" * 19


@pytest.mark.parametrize(
    ("text", "normal", "audience"),
    [
        (f"wss://relay.example/connect/{ID}", f"wss://relay.example/connect/{ID}", "relay.example"),
        (f"https://relay.example/connect/{ID}", f"wss://relay.example/connect/{ID}", "relay.example"),
        (f"HTTPS://Relay.EXAMPLE:443/connect/{ID}", f"wss://relay.example/connect/{ID}", "relay.example"),
        (f"wss://localhost:8443/connect/{ID}", f"wss://localhost:8443/connect/{ID}", "localhost:8443"),
        (f"wss://127.0.0.1:08443/connect/{ID}", f"wss://127.0.0.1:8443/connect/{ID}", "127.0.0.1:8443"),
        (f"wss://[::1]:8443/connect/{ID}", f"wss://[::1]:8443/connect/{ID}", "[::1]:8443"),
        (f"wss://[2001:DB8:0::1]/connect/{ID}", f"wss://[2001:db8::1]/connect/{ID}", "[2001:db8::1]"),
        (f" wss://relay.example/connect/{ID}\n", f"wss://relay.example/connect/{ID}", "relay.example"),
        ("wss://relay.example/connect", "wss://relay.example/connect", "relay.example"),
    ],
)
def test_equal_connect_urls_become_equal(text: str, normal: str, audience: str) -> None:
    url = ConnectUrl.parse(text)
    assert str(url) == normal
    assert url.audience == audience
    assert url == ConnectUrl.parse(normal)


def test_a_connect_url_says_where_to_dial() -> None:
    url = ConnectUrl.parse(f"wss://[::1]:8443/connect/{ID}")
    assert (url.host, url.port, url.path, url.connect_id) == ("::1", 8443, f"/connect/{ID}", ID)


@pytest.mark.parametrize("text", ["wss://relay.example", "https://relay.example/", "wss://RELAY.example:443"])
def test_a_relay_url_has_no_path(text: str) -> None:
    relay = parse_relay_url(text)
    assert relay == RelayUrl("relay.example")
    assert str(relay) == "wss://relay.example"
    assert relay.audience == "relay.example"


def test_a_relay_makes_connect_urls() -> None:
    relay = parse_relay_url("wss://[::1]:8443")
    assert str(relay.connect(ID)) == f"wss://[::1]:8443/connect/{ID}"
    assert str(relay.connect()) == "wss://[::1]:8443/connect"
    assert relay.connect().path == "/connect"


def test_the_same_key_is_found_at_another_relay_of_its_region() -> None:
    url = ConnectUrl.parse(f"wss://one.example/connect/{ID}")
    assert str(url.at(RelayUrl("two.example", 8443))) == f"wss://two.example:8443/connect/{ID}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "wss://host or"),
        ("relay.example", "wss://host or"),
        ("wss://a:b:c/", "wss://host or"),
        ("wss://relay.example\n/connect", "not a host name"),
        (f"wss://{'a' * 600}", "at most 512"),
        ("ws://relay.example", "in the clear, nothing is sent"),
        ("http://relay.example", "in the clear, nothing is sent"),
        ("ftp://relay.example", "begins with wss:// or https://."),
        ("wss://relay.example?x=1", "neither a query"),
        ("wss://relay.example/#x", "neither a query"),
        ("wss://user:hunter2@relay.example", "no user name or password"),
        ("wss://relay.example:", "The port is"),
        ("wss://relay.example:0", "The port is"),
        ("wss://relay.example:65536", "The port is"),
        ("wss://relay.example:٣", "The port is"),
        ("wss://", "not a host name"),
        ("wss://bücher.example", "xn--"),
        ("wss://relay example", "not a host name"),
        ("wss://-relay.example", "not a host name"),
        ("wss://relay..example", "not a host name"),
        (f"wss://{'a.' * 127}a", "not a host name"),
        ("wss://[127.0.0.1]", "not an IPv6 address"),
        ("wss://[fe80::1%eth0]", "no zone"),
        ("wss://relay.example/connect", "has no path"),
    ],
)
def test_each_fault_of_a_relay_url_is_named_without_echo(text: str, says: str) -> None:
    with pytest.raises(AditusError) as caught:
        parse_relay_url(text)
    assert says in caught.value.message
    assert (caught.value.code, caught.value.reason, caught.value.field) == (
        Code.INVALID,
        "bad-url",
        "relay_url",
    )
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["", "/", "/connect/", "/Connect/x", "/connect/a-b", "/connect/x/", f"/connect/{'x' * 65}", "/attach"],
)
def test_a_connect_url_ends_in_its_id(path: str) -> None:
    with pytest.raises(AditusError, match="ends in /connect/ and an id") as caught:
        ConnectUrl.parse(f"wss://relay.example{path}")
    assert caught.value.field == "connect_url"


hosts = st.from_regex(r"\A[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,3}\Z") | st.ip_addresses().map(str)
connect_ids = st.from_regex(r"\A([0-9A-Za-z]{1,64})?\Z")


@given(hosts, st.integers(1, 65535), connect_ids)
def test_urls_round_trip_through_their_text(host: str, port: int, connect_id: str) -> None:
    relay = RelayUrl(host, port)
    url = relay.connect(connect_id)
    assert parse_relay_url(str(relay)) == relay
    assert ConnectUrl.parse(str(url)) == url
    assert ConnectUrl.parse(str(url).replace("wss://", "https://")) == url


@given(st.text(max_size=40))
def test_any_text_after_the_scheme_is_a_url_or_refused(text: str) -> None:
    try:
        relay = parse_relay_url(f"wss://{text}")
    except AditusError:
        return
    assert parse_relay_url(str(relay)) == relay
