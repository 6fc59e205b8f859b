"""Refusals that relays report: of known keys in the audit, now and then; of strangers as counts."""

from aditus.control.service.refused import KEPT_DAYS, MAX_COUNTS_A_MINUTE, TOLD_EVERY
from aditus.domain.errors import Code
from aditus.domain.model import AuditEvent, Role
from aditus.domain.relays import KeyRefusal, RelayReport, StrangerRefusal
from tests.control.refused import refused
from tests.control_plane import REGION, ControlPlane


def report(plane: ControlPlane, *known: KeyRefusal, strangers: tuple[StrangerRefusal, ...] = ()) -> None:
    plane.services.reports.take(REGION, RelayReport(key_refusals=known, stranger_refusals=strangers))


def told(plane: ControlPlane) -> list[AuditEvent]:
    """Entries of refusals, oldest first."""
    events = plane.services.events.list(plane.owner, "0", limit=500).items
    return [event for event in reversed(events) if event.action == "key.refused"]


def test_a_refused_key_is_told_of_and_then_now_and_then(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    again = KeyRefusal(key.key_id, "suspended", "192.0.2.7", 1)
    for _ in range(40):  # an agent that asks every 30 s for 20 minutes
        report(plane, again)
        plane.clock.now += 30
    every = int(TOLD_EVERY / 30)
    assert [event.details["refusals"] for event in told(plane)] == [1, every]
    event = told(plane)[0]
    assert (event.actor_id, event.actor) == ("relay", f"relay of {REGION}")
    assert (event.object_id, event.object_name, event.region) == (key.key_id, "berlin", REGION)
    assert event.details == {"reason": "suspended", "source": "192.0.2.7", "refusals": 1}


def test_another_reason_or_source_is_told_of_at_once(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    report(
        plane,
        KeyRefusal(key.key_id, "suspended", "192.0.2.7", 1),
        KeyRefusal(key.key_id, "suspended", "192.0.2.8", 2),
        KeyRefusal(key.key_id, "revoked", "192.0.2.7", 3),
        KeyRefusal("neverheardof", "revoked", "192.0.2.7", 4),
    )
    assert [event.details["refusals"] for event in told(plane)] == [1, 2, 3]
    assert plane.services.chain.verify(plane.owner, "0").ok


def test_strangers_are_counted_by_source_and_minute(plane: ControlPlane) -> None:
    minute = int(plane.clock.now) // 60
    report(plane, strangers=(StrangerRefusal(minute, "192.0.2.1", "bad-proof", 2),))
    report(
        plane,
        strangers=(
            StrangerRefusal(minute, "192.0.2.1", "bad-proof", 3),
            StrangerRefusal(minute, "192.0.2.1", "no-such-url", 1),
            StrangerRefusal(minute - 1, "2001:db8::1", "bad-proof", 9),
        ),
    )
    assert plane.services.refused.strangers(plane.owner, "0") == (
        StrangerRefusal(minute, "192.0.2.1", "bad-proof", 5),
        StrangerRefusal(minute, "192.0.2.1", "no-such-url", 1),
        StrangerRefusal(minute - 1, "2001:db8::1", "bad-proof", 9),
    )
    for caller in (plane.person(Role.MEMBER), plane.person(Role.TEAM_ADMIN)):
        refused(
            Code.FORBIDDEN,
            "owner-only",
            lambda caller=caller: plane.services.refused.strangers(caller, "0"),  # type: ignore[misc]
        )


def test_a_crowd_of_strangers_is_counted_together(plane: ControlPlane) -> None:
    minute = int(plane.clock.now) // 60
    crowd = tuple(
        StrangerRefusal(minute, f"10.0.{number // 250}.{number % 250}", "bad-proof", 1)
        for number in range(MAX_COUNTS_A_MINUTE + 7)
    )
    report(plane, strangers=crowd)
    report(plane, strangers=crowd[-7:])
    shown = plane.services.refused.strangers(plane.owner, "0")
    assert (shown[0].source, shown[0].refusals) == ("", 14)
    plane.clock.now += KEPT_DAYS * 86_400 + 60
    report(plane, strangers=(StrangerRefusal(minute + KEPT_DAYS * 1440 + 1, "192.0.2.1", "bad-proof", 1),))
    with plane.database.read() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM stranger_refusals").scalar_one() == 1
