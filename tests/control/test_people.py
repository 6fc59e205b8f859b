"""People sign in, invite others, change what they may do, and go; the last owner stays."""

import pytest

from aditus.control.service.context import Context
from aditus.control.service.invitations import LIFE_SECONDS, Invitations
from aditus.control.service.members import Members
from aditus.control.service.sign_in import SignIn
from aditus.crypto.passwords import hash_password
from aditus.domain.errors import Code
from aditus.domain.model import Role
from aditus.store import members, sessions
from tests.control.refused import refused
from tests.control_plane import ControlPlane

PASSWORD = "correct horse battery"


class People:
    """The use cases, and an owner who has a password."""

    def __init__(self, plane: ControlPlane) -> None:
        database = plane.database
        context = Context(database, plane.relays, plane.services.feed, plane.clock)
        self.plane = plane
        self.entry, self.members, self.invitations = SignIn(context), Members(context), Invitations(context)
        with database.write() as tx:
            members.set_password(tx, "owner", hash_password(PASSWORD))

    def sign_in(self, email: str = "owner@localhost", password: str = PASSWORD) -> str:
        return self.entry.sign_in(email, password, source="192.0.2.1", user_agent="a browser").reveal()


@pytest.fixture
def people(plane: ControlPlane) -> People:
    return People(plane)


def test_email_and_password_begin_a_session_and_nothing_else_does(people: People) -> None:
    owner = people.plane.services.auth.person(people.sign_in("Owner@LOCALHOST"))
    assert (owner.caller_id, owner.role) == ("owner", Role.OWNER)
    answers = {
        str(refused(Code.UNAUTHENTICATED, "bad-sign-in", lambda e=email, p=password: people.sign_in(e, p)))  # type: ignore[misc]
        for email, password in (
            ("owner@localhost", "wrong"), ("nobody@localhost", PASSWORD), ("no address", PASSWORD),
            ("owner@localhost", "x" * 10_000),
        )
    }  # fmt: skip
    assert len(answers) == 1
    for cookie in ("", "x", "x" * 10_000, "\ud800"):
        refused(Code.UNAUTHENTICATED, "bad-session", lambda c=cookie: people.plane.services.auth.person(c))  # type: ignore[misc]


def test_a_session_ends_when_it_is_idle_or_old_or_is_ended(people: People) -> None:
    auth, clock = people.plane.services.auth, people.plane.clock
    idle = people.sign_in()
    clock.now += sessions.IDLE_SECONDS
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: auth.person(idle))
    used, began = people.sign_in(), clock.now
    while clock.now + 1_700 < began + sessions.LIFE_SECONDS:
        clock.now += 1_700
        auth.person(used)
    clock.now = began + sessions.LIFE_SECONDS
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: auth.person(used))
    one, other = people.sign_in(), people.sign_in()
    owner = auth.person(one)
    shown = people.entry.list(owner, one)
    assert sorted(session.current for session in shown) == [False, True]
    people.entry.end(owner, next(session.session_id for session in shown if not session.current))
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: auth.person(other))
    people.entry.sign_out(owner, one)
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: auth.person(one))


def test_another_password_ends_the_other_sessions(people: People) -> None:
    auth = people.plane.services.auth
    here, elsewhere = people.sign_in(), people.sign_in()
    owner = auth.person(here)
    refused(Code.INVALID, "bad-password", lambda: people.entry.change_password(owner, PASSWORD, "short"))
    refused(
        Code.FORBIDDEN, "wrong-password", lambda: people.entry.change_password(owner, "wrong", "x" * 12, here)
    )
    people.entry.change_password(owner, PASSWORD, "x" * 12, here)
    assert auth.person(here) == owner
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: auth.person(elsewhere))
    refused(Code.UNAUTHENTICATED, "bad-sign-in", people.sign_in)
    assert auth.person(people.sign_in(password="x" * 12)) == owner


def test_an_invitation_makes_one_member_once(people: People) -> None:
    owner, plane = people.plane.owner, people.plane
    new = people.invitations.create(owner, "Ann@Example.com", Role.TEAM_ADMIN, locator="defaultloc")
    assert people.invitations.list(owner) == (new.invitation,)
    ann = people.invitations.accept(new.secret.reveal(), "x" * 12)
    assert (ann.email, ann.role, ann.team_admin_of) == ("ann@example.com", Role.TEAM_ADMIN, ("defaultloc",))
    refused(Code.NOT_FOUND, "no-invitation", lambda: people.invitations.accept(new.secret.reveal(), "x" * 12))
    caller = plane.services.auth.person(people.sign_in("ann@example.com", "x" * 12))
    assert caller.team_admin_of == frozenset({"defaultsub"})
    refused(Code.FORBIDDEN, "owner-only", lambda: people.invitations.create(caller, "b@x", Role.OWNER))
    refused(
        Code.CONFLICT, "email-taken", lambda: people.invitations.create(owner, "ann@example.com", Role.OWNER)
    )
    late, gone = (people.invitations.create(owner, f"{name}@x", Role.MEMBER) for name in "cd")
    people.invitations.delete(owner, gone.invitation.invitation_id)
    refused(
        Code.NOT_FOUND, "no-invitation", lambda: people.invitations.accept(gone.secret.reveal(), "x" * 12)
    )
    plane.clock.now += LIFE_SECONDS
    refused(
        Code.NOT_FOUND, "no-invitation", lambda: people.invitations.accept(late.secret.reveal(), "x" * 12)
    )


def test_the_last_owner_stays_and_whoever_goes_takes_everything_along(people: People) -> None:
    owner, plane = people.plane.owner, people.plane
    refused(Code.CONFLICT, "last-owner", lambda: people.members.remove(owner, "owner"))
    refused(
        Code.CONFLICT,
        "last-owner",
        lambda: people.members.update(owner, "owner", role=Role.MEMBER, team_admin_of=None),
    )
    new = people.invitations.create(owner, "ann@example.com", Role.OWNER)
    ann = people.invitations.accept(new.secret.reveal(), "x" * 12)
    cookie = people.sign_in("ann@example.com", "x" * 12)
    token = plane.services.tokens.create(plane.services.auth.person(cookie), "t").secret.reveal()
    people.members.update(owner, ann.user_id, role=Role.MEMBER, team_admin_of=None)
    refused(Code.UNAUTHENTICATED, "bad-token", lambda: plane.services.auth.caller(token))
    assert plane.services.auth.person(cookie).role is Role.MEMBER
    people.members.remove(owner, ann.user_id)
    refused(Code.UNAUTHENTICATED, "bad-session", lambda: plane.services.auth.person(cookie))
    refused(Code.NOT_FOUND, "not-found", lambda: people.members.remove(plane.stranger(), "owner"))
