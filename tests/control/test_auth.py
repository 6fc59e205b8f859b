"""A token says who asks; whatever is no token here gets one answer."""

from aditus.crypto.tokens import token_hash
from aditus.domain.errors import Code
from aditus.domain.keytext import format_access_key, format_token
from aditus.domain.model import Caller, Role
from aditus.store import people
from tests.control.refused import refused
from tests.control_plane import ControlPlane

SECRET = bytes(range(32))


def token_of(plane: ControlPlane, person: Caller, role: Role, subscription_id: str | None = None) -> str:
    """A token that is in the table, whoever should have been refused it."""
    token_id = f"t{len(plane.services.tokens.list(person)):02}{person.caller_id:0<9}"
    with plane.database.write() as tx:
        people.add_token(
            tx,
            token_id,
            person.caller_id,
            "t",
            token_hash(SECRET),
            role,
            subscription_id,
            None,
            plane.clock.now,
        )
    return format_token(token_id, SECRET).reveal()


def test_a_token_says_who_asks(plane: ControlPlane) -> None:
    caller = plane.services.auth.caller(plane.token)
    assert (caller.name, caller.role, caller.team_admin_of) == ("owner@localhost", Role.OWNER, frozenset())


def test_whatever_is_no_token_gets_one_answer(plane: ControlPlane) -> None:
    tokens, auth = plane.services.tokens, plane.services.auth
    expired = tokens.create(plane.owner, "expired", expires_at=plane.clock.now + 1).secret.reveal()
    revoked = tokens.create(plane.owner, "revoked")
    tokens.revoke(plane.owner, revoked.token.token_id)
    plane.clock.now += 1
    answers = {
        (str(error), error.field)
        for error in (
            refused(Code.UNAUTHENTICATED, "bad-token", lambda text=text: auth.caller(text))  # type: ignore[misc]
            for text in (
                "",
                "x" * 10_000,
                "no token",
                plane.token[:-1] + ("0" if plane.token[-1] != "0" else "1"),  # a typo
                format_token("nobody000000", SECRET).reveal(),
                format_token("ownertoken00", bytes(32)).reveal(),  # a guess
                format_access_key("local", "ownertoken00", SECRET).reveal(),
                expired,
                revoked.secret.reveal(),
            )
        )
    }
    assert len(answers) == 1


def test_the_use_of_a_token_is_noted_once_a_minute(plane: ControlPlane) -> None:
    def noted() -> float | None:
        (token,) = plane.services.tokens.list(plane.owner)
        return token.last_used_at

    start = plane.clock.now
    assert noted() == start
    for later, expected in ((59.0, start), (60.0, start + 60), (61.0, start + 60), (120.0, start + 120)):
        plane.clock.now = start + later
        plane.services.auth.caller(plane.token)
        assert noted() == expected


def test_a_token_never_has_more_rights_than_its_user(plane: ControlPlane) -> None:
    default = plane.subscription.subscription_id
    owner = Caller("owner", "owner@localhost", plane.owner.organization_id, Role.OWNER)
    member, admin = plane.person(Role.MEMBER), plane.person(Role.TEAM_ADMIN)
    rights: list[tuple[Caller, Role, str | None, str]] = [
        (owner, Role.OWNER, None, "owner"),
        (owner, Role.MEMBER, None, "member"),
        (owner, Role.TEAM_ADMIN, default, "team_admin"),
        (owner, Role.TEAM_ADMIN, None, "bad-token"),
        (admin, Role.TEAM_ADMIN, default, "team_admin"),
        (admin, Role.OWNER, None, "bad-token"),
        (admin, Role.MEMBER, None, "bad-token"),
        (member, Role.MEMBER, None, "member"),
        (member, Role.OWNER, None, "bad-token"),
        (member, Role.TEAM_ADMIN, default, "bad-token"),
    ]
    for person, role, subscription_id, expected in rights:
        text = token_of(plane, person, role, subscription_id)
        if expected == "bad-token":
            refused(Code.UNAUTHENTICATED, expected, lambda text=text: plane.services.auth.caller(text))  # type: ignore[misc]
            continue
        caller = plane.services.auth.caller(text)
        assert caller.role.value == expected
        assert caller.team_admin_of == frozenset({subscription_id} if subscription_id else ())
