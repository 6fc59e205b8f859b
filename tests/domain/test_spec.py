"""Specs, as they are typed after `-s`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain.errors import AditusError, Code
from aditus.domain.spec import MAX_ALIASES, Spec, parse_spec, parse_specs


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("5432:db.internal:5432", Spec(5432, "db.internal", 5432)),
        ("15432:127.0.0.1:5432", Spec(15432, "127.0.0.1", 5432)),
        ("db:5432", Spec(5432, "db", 5432)),
        ("6379:[::1]:6380", Spec(6379, "::1", 6380)),
        ("[::1]:6379", Spec(6379, "::1", 6379)),
        ("22:[2001:DB8:0:0::1]:22", Spec(22, "2001:db8::1", 22)),
        ("22:[fe80::1%eth0]:22", Spec(22, "fe80::1%eth0", 22)),
        ("1:my_service:65535", Spec(1, "my_service", 65535)),
        ("80:bücher.example:80", Spec(80, "bücher.example", 80)),
        ("080:db:080", Spec(80, "db", 80)),
        ("db:5432,proxy-protocol", Spec(5432, "db", 5432, proxy_protocol=True)),
        ("1:[::1]:2,probe=30", Spec(1, "::1", 2, probe_seconds=30)),
        ("1:db:2,probe=5,proxy-protocol", Spec(1, "db", 2, True, 5)),
        ("1:db:2,alias=orders-2", Spec(1, "db", 2, alias="orders-2")),
    ],
)
def test_a_spec_has_an_app_port_a_host_and_a_port(text: str, spec: Spec) -> None:
    assert parse_spec(text) == spec


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "two or three parts"),
        ("5432", "two or three parts"),
        ("1:db:2:3", "two or three parts"),
        ("::1:5432", "IPv6 address stands in brackets"),
        ("1:[::1:5432", "brackets"),
        ("1:a[::1]:5432", "brackets"),
        ("x" * 301, "at most 300"),
        ("5432:db:", "The port is a number"),
        ("5432:db:0", "The port is a number"),
        ("5432:db:65536", "The port is a number"),
        ("5432:db:123456", "The port is a number"),
        ("5432:db:+1", "The port is a number"),
        ("5432:db:٣", "The port is a number"),
        ("5432:db:1\n", "The port is a number"),
        (":db:5432", "The app port (the first part)"),
        ("0:db:5432", "The app port (the first part)"),
        ("pg:db:5432", "The app port (the first part)"),
        ("5432::5432", "The host is missing"),
        (":5432", "The host is missing"),
        (f"1:{'a' * 254}:1", "at most 253"),
        ("1:root@db:22", "no user name"),
        ("1:my db:22", "a character that neither"),
        ("1:db\x00:22", "a character that neither"),
        ("1:db/x:22", "a character that neither"),
        ("80:443", "mere number"),
        ("1:[]:22", "not an IPv6 address"),
        ("1:[127.0.0.1]:22", "not an IPv6 address"),
        ("1:[fe80::1%a b]:22", "zone"),
        ("1:db:2,", "unknown, or there twice"),
        ("1:db:2,tls", "unknown, or there twice"),
        ("1:db:2,probe", "unknown, or there twice"),
        ("1:db:2,probe=9,probe=9", "unknown, or there twice"),
        ("1:db:2,proxy-protocol,proxy-protocol", "unknown, or there twice"),
        ("1:db:2,alias=a,alias=b", "unknown, or there twice"),
        ("1:db:2,alias=", "beginning with a letter"),
        ("1:db:2,alias=Orders", "beginning with a letter"),
        ("1:db:2,alias=5432", "beginning with a letter"),
        ("1:db:2,alias=a-", "beginning with a letter"),
        (f"1:db:2,alias={'a' * 33}", "beginning with a letter"),
        ("1:db:2,probe=4", "5 to 86400 seconds"),
        ("1:db:2,probe=86401", "5 to 86400 seconds"),
        ("1:db:2,probe=٣٠", "5 to 86400 seconds"),
    ],
)
def test_each_fault_is_named(text: str, says: str) -> None:
    with pytest.raises(AditusError) as caught:
        parse_spec(text)
    assert says in caught.value.message
    assert (caught.value.code, caught.value.reason, caught.value.field) == (Code.INVALID, "bad-spec", "spec")
    assert "appPort:host:port" in caught.value.remedy


hosts = st.from_regex(r"\A[a-z][a-z0-9_.-]{0,40}\Z") | st.ip_addresses().map(str)
ports = st.integers(1, 65535)


aliases = st.just("") | st.from_regex(r"\A[a-z]([a-z0-9-]{0,30}[a-z0-9])?\Z")


@given(ports, hosts, ports, st.booleans(), st.none() | st.integers(5, 86_400), aliases)
def test_a_spec_round_trips_through_its_text(
    app_port: int, host: str, port: int, proxy_protocol: bool, probe: int | None, alias: str
) -> None:
    spec = Spec(app_port, host, port, proxy_protocol, probe, alias)
    assert parse_spec(str(spec)) == spec


@given(st.text(max_size=40))
def test_any_text_is_a_spec_or_refused(text: str) -> None:
    try:
        spec = parse_spec(text)
    except AditusError:
        return
    assert parse_spec(str(spec)) == spec


def test_a_target_is_what_is_dialled_whatever_the_spec_says_besides() -> None:
    assert parse_spec("1:db:2").target == parse_spec("3:db:2,probe=5").target == ("db", 2)


def test_several_specs_keep_their_order() -> None:
    assert parse_specs(["2:b:20", "1:a:10"]) == (Spec(2, "b", 20), Spec(1, "a", 10))
    assert parse_specs([]) == ()


def test_two_specs_cannot_share_an_app_port() -> None:
    with pytest.raises(AditusError, match="Two specs have the app port 5432") as caught:
        parse_specs(["db1:5432", "5432:db2:5433"])
    assert caught.value.reason == "duplicate-app-port"


def test_an_alias_belongs_to_one_spec_of_an_agent_and_there_are_so_many() -> None:
    with pytest.raises(AditusError, match="the same alias"):
        parse_specs(["1:db:2,alias=a", "2:db:2,alias=a"])
    many = [f"{port}:db:1,alias=a{port}" for port in range(1, MAX_ALIASES + 1)]
    assert len(parse_specs(many)) == MAX_ALIASES
    with pytest.raises(AditusError, match="at most 256 aliases"):
        parse_specs([*many, "9999:db:1,alias=last"])
