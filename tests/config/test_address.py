"""Addresses to listen on: two forms in, one value out, and a refusal that names the option."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.config.address import Address, parse_host, parse_optional
from aditus.domain.errors import AditusError, Code

UNUSABLE = [
    "",
    "8443",
    ":8443",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:http",
    "127.0.0.1:٨٤",
    "::1:8443",
    "[::1]",
    "[]:8443",
    "[127.0.0.1]:8443",
    "[::1]:8443:1",
    "a b:1",
    "-a:1",
    "http://127.0.0.1:8443",
    "user@host:1",
    f"{'a' * 254}:1",
]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443),
        ("[::1]:8443", "::1", 8443),
        ("[0:0::0:1]:8443", "::1", 8443),
        ("0.0.0.0:443", "0.0.0.0", 443),
        ("[::]:0", "::", 0),
        (" LocalHost:65535\n", "localhost", 65535),
        ("relay-1.internal:1", "relay-1.internal", 1),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize("text", UNUSABLE)
def test_what_is_no_address_is_refused_with_the_option_and_without_echo(text: str) -> None:
    with pytest.raises(AditusError) as caught:
        Address.parse(text, "--api-listen")
    assert caught.value.code is Code.INVALID
    assert caught.value.message.startswith("--api-listen ")
    assert caught.value.field == "api_listen"
    assert caught.value.remedy
    if len(text) > 5:
        assert text not in str(caught.value).partition(" Write it like ")[0]


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
def test_every_address_reads_as_it_is_written(ip: object, port: int) -> None:
    address = Address(str(ip), port)
    assert Address.parse(str(address)) == address


@given(st.text(max_size=60))
def test_no_text_at_all_makes_it_fail_in_another_way(text: str) -> None:
    try:
        address = Address.parse(text)
    except AditusError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "is_loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        ("localhost.example.com:1", False),
    ],
)
def test_only_this_machine_is_loopback(text: str, is_loopback: bool) -> None:
    assert Address.parse(text).is_loopback is is_loopback


def test_an_optional_address_can_be_off() -> None:
    assert parse_optional("off", "--health-listen") is None
    assert parse_optional("127.0.0.1:1", "--health-listen") == Address("127.0.0.1", 1)


@pytest.mark.parametrize(
    ("text", "host"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"), (" 0.0.0.0 ", "0.0.0.0")],
)
def test_a_host_stands_alone_too(text: str, host: str) -> None:
    assert parse_host(text, "--app-listen") == host


@pytest.mark.parametrize("text", ["", "127.0.0.1:80", "[127.0.0.1]", "[::1", "::1]", "a/b"])
def test_a_host_with_more_than_itself_is_refused(text: str) -> None:
    with pytest.raises(AditusError, match="--app-listen"):
        parse_host(text, "--app-listen")
