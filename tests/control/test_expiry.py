"""Before a key expires its people hear of it three times, and once when it has."""

from aditus.domain.model import AuditEvent
from tests.control_plane import CAPABILITY, REGION, ControlPlane

DAY = 86_400.0


def warnings(plane: ControlPlane) -> list[AuditEvent]:
    """What is recorded of expiry, oldest first."""
    told = [event for event in plane.events() if event.action.startswith("key.expire")]
    return sorted(told, key=lambda event: event.event_id)


def test_a_key_is_warned_of_14_7_and_1_days_before_and_at_its_end(plane: ControlPlane) -> None:
    end = plane.clock.now + 30 * DAY
    plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=end)
    told: list[object] = []
    for before in (15.0, 14.0, 13.0, 7.0, 6.5, 1.0, 0.5, 0.0, -3.0):
        plane.clock.now = end - before * DAY
        for _ in range(2):  # each once, however often it is looked
            told += [(before, key.expiry_warning) for key in plane.services.expiry.warn()]
    assert told == [(14.0, 14), (7.0, 7), (1.0, 1), (0.0, None)]
    assert [(event.action, event.details) for event in warnings(plane)] == [
        ("key.expires-soon", {"within_days": 14}),
        ("key.expires-soon", {"within_days": 7}),
        ("key.expires-soon", {"within_days": 1}),
        ("key.expire", {}),
    ]


def test_a_short_life_is_warned_of_once(plane: ControlPlane) -> None:
    end = plane.clock.now + DAY / 2
    plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=end)
    assert [key.expiry_warning for key in plane.services.expiry.warn()] == [1]
    assert plane.services.expiry.warn() == ()


def test_who_is_given_more_time_is_warned_anew(plane: ControlPlane) -> None:
    end = plane.clock.now + 5 * DAY
    plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=end)
    assert len(plane.services.expiry.warn()) == 1
    plane.services.keys.patch(plane.owner, "0", REGION, "berlin", {"expires_at": end + 20 * DAY})
    assert plane.services.expiry.warn() == ()
    plane.clock.now = end + 10 * DAY
    assert [key.expiry_warning for key in plane.services.expiry.warn()] == [14]


def test_revoked_keys_and_those_without_an_end_are_not_spoken_of(plane: ControlPlane) -> None:
    plane.generate("for ever")
    plane.services.keys.generate(
        plane.owner, "0", REGION, "berlin", CAPABILITY, expires_at=plane.clock.now + DAY
    )
    plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin"])
    assert plane.services.expiry.warn() == ()
