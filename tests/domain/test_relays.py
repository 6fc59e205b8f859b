"""What relays tell."""

from aditus.domain.relays import CredentialUse, KeyRefusal, KeyUse, PortStatus, RelayReport, StrangerRefusal


def test_a_report_says_whether_there_is_anything_in_it() -> None:
    assert not RelayReport()
    assert RelayReport(uses=(KeyUse("k", bytes(32), 0.0, "", "", ""),))
    assert RelayReport(credential_uses=(CredentialUse("c", 0.0, "", ""),))
    assert RelayReport(key_refusals=(KeyRefusal("k", "expired", "", 1),))
    assert RelayReport(stranger_refusals=(StrangerRefusal(1, "", "bad-proof", 1),))


def test_what_keeps_a_listener_from_a_port_keeps_no_sidecar_from_it() -> None:
    assert PortStatus(5432, False, "port-taken").reachable
    assert not PortStatus(5432, False, "port-not-allowed").reachable
