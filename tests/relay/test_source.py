"""Where an agent comes from, when a proxy stands in between: only those who are trusted are believed."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.net.ws import Upgrade
from aditus.relay.source import MAX_HOPS, source_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))
PROXY, OTHER_PROXY, AGENT = "10.1.2.3", "fd00::7", "203.0.113.9"


def seen(source: str, forwarded: str = "") -> str:
    return source_of(Upgrade("/connect", {}, source, forwarded), TRUSTED)


def test_without_a_proxy_it_is_the_address_of_the_connection() -> None:
    assert seen(AGENT) == AGENT
    assert seen("2001:db8::1") == "2001:db8::1"
    assert seen("::ffff:203.0.113.9") == AGENT


def test_a_stranger_is_not_believed() -> None:
    assert seen(AGENT, "192.0.2.1") == AGENT


def test_what_a_trusted_proxy_says_counts_and_what_stands_before_that_does_not() -> None:
    assert seen(PROXY, AGENT) == AGENT
    assert seen(PROXY, f"192.0.2.1, {AGENT}") == AGENT
    assert seen(PROXY, f"192.0.2.1, {AGENT}, {OTHER_PROXY}") == AGENT
    assert seen(OTHER_PROXY, f"{AGENT},{PROXY}") == AGENT


@pytest.mark.parametrize(
    "written", ["203.0.113.9:4711", " 203.0.113.9 ", "[::ffff:203.0.113.9]:4711", "::ffff:203.0.113.9"]
)
def test_addresses_are_read_as_proxies_write_them(written: str) -> None:
    assert seen(PROXY, written) == AGENT


@pytest.mark.parametrize("written", ["unknown", "_hidden", "", "203.0.113", "203.0.113.9, "])
def test_a_proxy_that_names_no_address_leaves_none(written: str) -> None:
    assert seen(PROXY, written) == ("" if written else PROXY)


@given(st.text(max_size=200), st.sampled_from([PROXY, AGENT, "", "no address"]))
def test_nothing_that_is_sent_is_more_than_an_address(forwarded: str, source: str) -> None:
    found = seen(source, forwarded)
    assert found == "" or str(ip_address(found)) == found


def test_a_loop_of_proxies_ends() -> None:
    assert seen(PROXY, ",".join([PROXY] * 3 * MAX_HOPS)) in ("", PROXY)
