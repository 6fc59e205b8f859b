"""A proxy of the sidecar leads to app ports that the app reaches now, by their names, and nowhere else."""

from hypothesis import example, given
from hypothesis import strategies as st

from aditus.sidecar.destination import LISTED, Refused, destination
from aditus.wire.errors import ResetReason

PORTS = frozenset({5432, 8080, 22})
ALIASES = {"orders": 5432, "web-1": 8080, "gone": 9000, "localhost": 8080}


def meant(host: str, port: int = 443) -> int | ResetReason:
    found = destination(host, port, PORTS, ALIASES)
    return found.reason if isinstance(found, Refused) else found


def test_an_alias_names_its_app_port_whatever_port_stands_beside_it() -> None:
    assert [meant("orders", port) for port in (0, 80, 443, 5432, 8080, 65535)] == [5432] * 6
    assert [meant(name) for name in ("ORDERS", "orders.", "Web-1.")] == [5432, 5432, 8080]


def test_an_app_port_can_be_named_as_the_host() -> None:
    assert [meant("5432", port) for port in (0, 80, 5432, 8080)] == [5432] * 4
    assert meant("22.") == 22


def test_curl_writes_a_number_as_an_address_and_it_is_still_that_app_port() -> None:
    assert meant("0.0.21.56", 80) == 5432
    assert meant("0.0.21.57", 80) is ResetReason.PORT_NOT_OFFERED


def test_loopback_means_what_the_listeners_of_the_sidecar_are_called() -> None:
    for host in ("localhost", "LOCALHOST.", "127.0.0.1", "::1"):
        assert meant(host, 5432) == 5432, "and an alias cannot take the name"
        assert meant(host, 5433) is ResetReason.PORT_NOT_OFFERED


def test_a_port_that_nobody_offers_now_is_told_apart_from_what_is_never_allowed() -> None:
    assert meant("gone") is ResetReason.PORT_NOT_OFFERED
    assert meant("3306") is ResetReason.PORT_NOT_OFFERED
    for host in (
        *(
            "",
            ".",
            "orders..",
            "orders.internal",
            "db",
            "example.com",
            "10.0.0.1",
            "169.254.169.254",
            "127.0.0.2",
        ),
        *("0.0.0.0", "0.1.21.56", "::", "::ffff:127.0.0.1", "fe80::1", "*", "or ders", "app"),
        *("05432", "+5432", "-1", "5_432", "0x1538", "65536", "70968", "999999", "5432" * 60, "0"),
        *("\u0665\u0664\u0663\u0662", "5432\u00b2", "orders\x00", "\uff4frders", "orders\n", "5432\n"),
    ):
        assert meant(host, 5432) is ResetReason.ADDRESS_NOT_ALLOWED, host


def test_the_refusal_says_what_can_be_reached() -> None:
    refused = destination("nowhere", 80, PORTS, {"orders": 5432})
    assert isinstance(refused, Refused)
    assert ": 22, 5432 (orders), 8080. " in refused.text

    refused = destination("nowhere", 80, frozenset(range(1, LISTED + 5)), {})
    assert isinstance(refused, Refused)
    assert f"{LISTED} and 4 more" in refused.text

    refused = destination("nowhere", 80, frozenset(), {"orders": 5432})
    assert isinstance(refused, Refused)
    assert "No agent offers" in refused.text
    assert "orders" not in refused.text


@given(
    st.one_of(
        st.text(),
        st.sampled_from(["localhost", "orders", "gone", "::1"]),
        st.integers().map(str),
        st.ip_addresses().map(str),
    ),
    st.integers(0, 65535),
    st.frozensets(st.integers(1, 65535)),
    st.dictionaries(st.sampled_from(["orders", "gone", "5432", "localhost"]), st.integers(1, 65535)),
)
@example("\u0130", 80, frozenset({80}), {})
def test_whatever_is_asked_leads_to_a_reachable_port_or_is_refused(
    host: str, port: int, ports: frozenset[int], aliases: dict[str, int]
) -> None:
    found = destination(host, port, ports, aliases)
    assert isinstance(found, Refused) or found in ports
    if isinstance(found, Refused):
        assert found.reason in (ResetReason.PORT_NOT_OFFERED, ResetReason.ADDRESS_NOT_ALLOWED)
        assert len(found.text) < 1000
