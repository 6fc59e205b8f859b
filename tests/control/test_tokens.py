"""API tokens: one's own, shown once, and never a way to more rights or a longer life."""

from aditus.control.service.tokens import MAX_TOKENS
from aditus.domain.errors import Code
from aditus.domain.model import Caller, Role
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane


def caller(plane: ControlPlane, text: str) -> Caller:
    return plane.services.auth.caller(text)


def test_a_new_token_works_at_once_and_until_it_is_revoked(plane: ControlPlane) -> None:
    plane.clock.now += 1
    new = plane.services.tokens.create(plane.owner, "ci")
    assert (new.token.name, new.token.role, new.token.locator) == ("ci", Role.OWNER, "")
    assert caller(plane, new.secret.reveal()).role is Role.OWNER
    assert [token.name for token in plane.services.tokens.list(plane.owner)] == ["first", "ci"]
    plane.services.tokens.revoke(plane.owner, new.token.token_id)
    refused(Code.UNAUTHENTICATED, "bad-token", lambda: caller(plane, new.secret.reveal()))
    assert [token.name for token in plane.services.tokens.list(plane.owner)] == ["first"]
    refused(
        Code.NOT_FOUND, "not-found", lambda: plane.services.tokens.revoke(plane.owner, new.token.token_id)
    )


def test_a_token_can_be_narrowed_to_looking(plane: ControlPlane) -> None:
    new = plane.services.tokens.create(plane.owner, "dashboard", role=Role.MEMBER)
    reader = caller(plane, new.secret.reveal())
    assert plane.services.keys.list(reader, "0", REGION).items == ()
    refused(
        Code.FORBIDDEN,
        "read-only",
        lambda: plane.services.keys.generate(reader, "0", REGION, "x", CAPABILITY),
    )


def test_a_token_can_be_narrowed_to_one_subscription(plane: ControlPlane) -> None:
    plane.clock.now += 1
    new = plane.services.tokens.create(plane.owner, "ci", role=Role.TEAM_ADMIN)
    assert new.token.locator == plane.subscription.locator
    admin = caller(plane, new.secret.reveal())
    assert admin.team_admin_of == {plane.subscription.subscription_id}
    assert (
        plane.services.keys.generate(admin, "0", REGION, "x", CAPABILITY).key.created_by == plane.owner.name
    )
    assert [token.locator for token in plane.services.tokens.list(plane.owner)] == [
        "",
        plane.subscription.locator,
    ]
    plane.stranger()
    refused(
        Code.NOT_FOUND,
        "not-found",
        lambda: plane.services.tokens.create(plane.owner, "x", role=Role.TEAM_ADMIN, locator="otherloc"),
    )
    error = refused(
        Code.INVALID,
        "needless-locator",
        lambda: plane.services.tokens.create(plane.owner, "x", locator="defaultloc"),
    )
    assert error.field == "locator"


def test_a_token_is_no_way_to_more(plane: ControlPlane) -> None:
    tokens = plane.services.tokens
    reader = caller(plane, tokens.create(plane.owner, "reader", role=Role.MEMBER).secret.reveal())
    admin = caller(plane, tokens.create(plane.owner, "admin", role=Role.TEAM_ADMIN).secret.reveal())
    brief = caller(plane, tokens.create(plane.owner, "brief", expires_at=START + 60).secret.reveal())
    for call in (
        lambda: tokens.create(reader, "x", role=Role.OWNER),
        lambda: tokens.create(admin, "x", role=Role.OWNER),
        lambda: tokens.create(admin, "x", role=Role.MEMBER),  # which looks at all subscriptions
        lambda: tokens.create(brief, "x"),
        lambda: tokens.create(brief, "x", expires_at=START + 61),
        lambda: tokens.revoke(reader, plane.owner.caller_id),
        lambda: tokens.revoke(reader, admin.caller_id),
        lambda: tokens.revoke(admin, plane.owner.caller_id),
    ):
        refused(Code.FORBIDDEN, "more-than-yours", call)
    refused(Code.FORBIDDEN, "read-only", lambda: tokens.create(reader, "x", role=Role.TEAM_ADMIN))
    assert tokens.create(brief, "x", expires_at=START + 60).token.role is Role.OWNER
    assert tokens.create(reader, "x").token.role is Role.MEMBER
    tokens.revoke(reader, reader.caller_id)  # itself it may end
    tokens.revoke(plane.owner, admin.caller_id)


def test_tokens_are_ones_own(plane: ControlPlane) -> None:
    other = plane.person(Role.OWNER)
    new = plane.services.tokens.create(plane.owner, "mine")
    assert plane.services.tokens.list(other) == ()
    refused(Code.NOT_FOUND, "not-found", lambda: plane.services.tokens.revoke(other, new.token.token_id))


def test_tokens_have_a_bound(on_sqlite: ControlPlane) -> None:
    tokens = on_sqlite.services.tokens
    made = [tokens.create(on_sqlite.owner, f"t{number}") for number in range(MAX_TOKENS - 1)]
    refused(Code.LIMIT, "token-quota", lambda: tokens.create(on_sqlite.owner, "one more"))
    tokens.revoke(on_sqlite.owner, made[0].token.token_id)
    tokens.create(on_sqlite.owner, "one more")


def test_a_token_is_made_once_for_an_idempotency_key(plane: ControlPlane) -> None:
    new = plane.services.tokens.create(plane.owner, "ci", idempotency_key="try-1")
    error = refused(
        Code.CONFLICT,
        "idempotent-replay",
        lambda: plane.services.tokens.create(plane.owner, "ci", idempotency_key="try-1"),
    )
    assert new.token.token_id in error.message


def test_an_idempotency_key_is_visible_text(on_sqlite: ControlPlane) -> None:
    def create(key: str) -> object:
        return on_sqlite.services.tokens.create(on_sqlite.owner, "ci", idempotency_key=key)

    for key in ("x" * 256, "a b", "é", "a\0"):
        error = refused(Code.INVALID, "bad-idempotency-key", lambda key=key: create(key))  # type: ignore[misc]
        assert error.field == "Idempotency-Key"
