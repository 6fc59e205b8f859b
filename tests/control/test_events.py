"""The audit events: each deed once, by whom, and never with a secret in it."""

import json

import pytest

from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SECRET_PATTERN
from aditus.domain.model import AuditEvent, Caller, Role
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, ControlPlane


def listed(plane: ControlPlane, caller: Caller | None = None) -> list[AuditEvent]:
    """All events, oldest first."""
    events: list[AuditEvent] = []
    cursor = ""
    while True:
        page = plane.services.events.list(caller or plane.owner, "0", cursor=cursor, limit=3)
        events += page.items
        cursor = page.next_cursor
        if not cursor:
            return events[::-1]


def test_every_deed_is_told_once_in_its_order(plane: ControlPlane) -> None:
    keys, apps, tokens = plane.services.keys, plane.services.apps, plane.services.tokens
    key = plane.generate("berlin")
    app = apps.create(plane.owner, "0", "shop", CAPABILITY)
    apps.associate(plane.owner, "0", "shop", "berlin")
    keys.patch(plane.owner, "0", REGION, "berlin", {"description": "adt_local_pasted_by_mistake"})
    keys.suspend(plane.owner, "0", REGION, "berlin")
    keys.resume(plane.owner, "0", REGION, "berlin")
    tunnel = plane.relays.attach(key, 5432)
    plane.services.tunnels.cut(plane.owner, "0", tunnel.tunnel_id)
    plane.clock.now += 1
    keys.revoke(plane.owner, "0", REGION, ["berlin"])
    apps.dissociate(plane.owner, "0", "shop")
    apps.delete(plane.owner, "0", "shop")
    token = tokens.create(plane.owner, "ci")
    tokens.revoke(plane.owner, token.token.token_id)

    events = listed(plane)
    assert [(event.action, event.object_id, event.object_name) for event in events] == [
        ("key.generate", key.key_id, "berlin"),
        ("app.create", app.app_id, "shop"),
        ("app.associate", app.app_id, "shop"),
        ("key.update", key.key_id, "berlin"),
        ("key.suspend", key.key_id, "berlin"),
        ("key.resume", key.key_id, "berlin"),
        ("tunnel.cut", tunnel.tunnel_id, "berlin"),
        ("key.revoke", key.key_id, "berlin"),
        ("app.dissociate", app.app_id, "shop"),
        ("app.delete", app.app_id, "shop"),
        ("token.create", token.token.token_id, "ci"),
        ("token.revoke", token.token.token_id, "ci"),
    ]
    assert {(event.actor_id, event.actor) for event in events} == {("ownertoken00", "owner@localhost")}
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert events[2].details == {"key_id": key.key_id, "access_key_id": "berlin", "key_id_before": ""}
    assert {event.region for event in events if event.action.startswith("key.")} == {REGION}
    assert "pasted" not in json.dumps([event.details for event in events])
    assert token.secret.reveal() not in repr(events)
    assert SECRET_PATTERN  # what telemetry looks for as well
    assert "adt" not in json.dumps([event.details for event in events])


def test_a_refused_deed_leaves_no_event(plane: ControlPlane) -> None:
    member = plane.person(Role.MEMBER)
    with pytest.raises(AditusError):
        plane.services.keys.generate(member, "0", REGION, "x", CAPABILITY)
    plane.generate("berlin")
    with pytest.raises(AditusError):
        plane.generate("berlin")
    assert [event.action for event in listed(plane)] == ["key.generate"]


def test_who_may_see_which_events(plane: ControlPlane) -> None:
    plane.services.tokens.create(plane.owner, "ci")
    plane.generate("berlin")
    assert [event.action for event in listed(plane)] == ["token.create", "key.generate"]
    for looker in (plane.person(Role.MEMBER), plane.person(Role.TEAM_ADMIN)):
        assert [event.action for event in listed(plane, looker)] == ["key.generate"]
    stranger = plane.stranger()
    assert listed(plane, stranger) == []
    refused(
        Code.NOT_FOUND,
        "not-found",
        lambda: plane.services.events.list(stranger, plane.subscription.locator),
    )


def test_a_cursor_of_events_is_one_that_was_given_out(on_sqlite: ControlPlane) -> None:
    def page(cursor: str) -> object:
        return on_sqlite.services.events.list(on_sqlite.owner, "0", cursor=cursor)

    for cursor in ("x", "-1", "1.5", "9" * 19, "²", " 1"):
        refused(Code.INVALID, "bad-cursor", lambda cursor=cursor: page(cursor))  # type: ignore[misc]
