"""Every operation of the API by every role: what the policy's table says is what really happens."""

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import insert
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.http.cookie import HOST_COOKIE, PLAIN_COOKIE
from aditus.control.http.limits import Limits
from aditus.control.service.sign_in import cookie_hash
from aditus.crypto.keys import random_id
from aditus.domain.model import Role, Subscription
from aditus.domain.policy import TABLE, Operation, Scope
from aditus.store import members, people, sessions, subscriptions
from aditus.store.database import Database
from aditus.store.schema import roles
from tests.control_plane import CAPABILITY, REGION, ControlPlane

OURS = "/v1/subscriptions/{locator}"
KEYS = OURS + "/regions/{region}/access-keys"
KEY, APPS, APP = KEYS + "/{access_key_id}", OURS + "/apps", OURS + "/apps/{app_id}"


@dataclass(frozen=True)
class Row:
    """A route, the operation that it is, and what is sent; `{…}` in it are things that are there for it."""

    operation: Operation
    method: str
    path: str
    body: dict[str, object] | None = None
    query: str = ""
    endless: bool = False  # its answer does not end: only refusals are looked at


ROWS = (
    Row(Operation.USERINFO_SHOW, "GET", "/v1/userinfo"),
    Row(Operation.TOKENS_CREATE, "POST", "/v1/tokens", {"name": "{new}"}),
    Row(Operation.TOKENS_LIST, "GET", "/v1/tokens"),
    Row(Operation.TOKENS_REVOKE, "DELETE", "/v1/tokens/{token_id}"),
    Row(Operation.SESSIONS_LIST, "GET", "/v1/sessions"),
    Row(Operation.SESSIONS_END, "DELETE", "/v1/sessions/{session_id}"),
    Row(Operation.SESSIONS_END, "POST", "/v1/sign-out"),
    Row(Operation.MEMBERS_LIST, "GET", "/v1/members"),
    Row(Operation.MEMBERS_UPDATE, "PATCH", "/v1/members/{user_id}", {"role": "member"}),
    Row(Operation.MEMBERS_REMOVE, "DELETE", "/v1/members/{user_id}"),
    Row(
        Operation.INVITATIONS_CREATE, "POST", "/v1/invitations", {"email": "new@x.example", "role": "member"}
    ),
    Row(Operation.INVITATIONS_LIST, "GET", "/v1/invitations"),
    Row(Operation.INVITATIONS_DELETE, "DELETE", "/v1/invitations/{invitation_id}"),
    Row(Operation.REGIONS_LIST, "GET", "/v1/regions"),
    Row(Operation.SUBSCRIPTIONS_LIST, "GET", "/v1/subscriptions"),
    Row(
        Operation.SUBSCRIPTIONS_ADD,
        "POST",
        "/v1/subscriptions",
        {"name": "{new}", "regions": ["{region}"], "capabilities": [CAPABILITY]},
    ),
    Row(Operation.SUBSCRIPTION_SHOW, "GET", OURS),
    Row(Operation.SUBSCRIPTION_SHOW, "GET", OURS + "/regions"),
    Row(Operation.CAPABILITIES_ADD, "PUT", OURS + "/regions/{region}/capabilities/{capability}"),
    Row(Operation.CAPABILITIES_REMOVE, "DELETE", OURS + "/regions/{region}/capabilities/{capability}"),
    Row(Operation.KEYS_GENERATE, "POST", KEYS, {"access_key_id": "{new}", "capability": CAPABILITY}),
    Row(Operation.KEYS_LIST, "GET", KEYS),
    Row(Operation.KEYS_LIST, "GET", KEY),
    Row(Operation.KEYS_UPDATE, "PATCH", KEY, {"description": "changed"}),
    Row(Operation.KEYS_SUSPEND, "POST", KEY + "/suspend"),
    Row(Operation.KEYS_RESUME, "POST", KEY + "/resume"),
    Row(Operation.KEYS_ROTATE, "POST", KEY + "/rotate", {}),
    Row(Operation.KEYS_REVOKE, "POST", KEYS + "/revoke", {"access_key_ids": ["{access_key_id}"]}),
    Row(Operation.KEYS_REVOKE, "DELETE", KEY),
    Row(Operation.APPS_CREATE, "POST", APPS, {"name": "{new}", "capability": CAPABILITY}),
    Row(Operation.APPS_LIST, "GET", APPS),
    Row(Operation.APPS_LIST, "GET", APP),
    Row(Operation.APPS_LIST, "GET", APP + "/status"),
    Row(Operation.APPS_UPDATE, "PATCH", APP, {"name": "{new}"}),
    Row(Operation.APPS_DELETE, "DELETE", APP),
    Row(Operation.APPS_ASSOCIATE, "PUT", APP + "/env/tunnelkey", query="?tunnelKey={access_key_id}"),
    Row(Operation.APPS_DISSOCIATE, "DELETE", APP + "/env/tunnelkey"),
    Row(Operation.APPS_CREDENTIAL, "POST", APP + "/credentials", {}),
    Row(Operation.APPS_CREDENTIAL, "DELETE", APP + "/credentials/{credential_id}"),
    Row(Operation.APPS_LIST, "GET", APP + "/credentials"),
    Row(Operation.APPS_LIST, "GET", APP + "/sidecars"),
    Row(Operation.TUNNELS_LIST, "GET", OURS + "/tunnels"),
    Row(Operation.TUNNELS_CUT, "DELETE", OURS + "/tunnels/{tunnel_id}"),
    Row(Operation.STREAMS_LIST, "GET", OURS + "/streams"),
    Row(Operation.STREAMS_LIST, "GET", OURS + "/stream-records"),
    Row(Operation.EVENTS_FOLLOW, "GET", OURS + "/events", endless=True),
    Row(Operation.AUDIT_LIST, "GET", OURS + "/audit-events"),
    Row(Operation.AUDIT_VERIFY, "GET", OURS + "/audit-events/verify"),
    Row(Operation.AUDIT_EXPORT, "GET", OURS + "/audit-events/export"),
    Row(Operation.STRANGERS_LIST, "GET", OURS + "/stranger-refusals"),
)
ELSEWHERE = {
    Operation.PASSWORD_CHANGE,  # takes a real password: tests/control/test_sign_in_http.py
    Operation.REGIONS_ADD,  # the operator's, who needs no API
}
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/v1/sign-in"),
    ("POST", "/v1/password"),
    ("POST", "/v1/invitations/accept"),
}
WHO = ("owner", "member", "team_admin", "other_team_admin", "stranger", "nobody")


class World:
    """An organisation with two subscriptions, another organisation, and somebody of each kind, signed in."""

    def __init__(self, database: Database) -> None:
        self.plane = ControlPlane(database)
        limits = Limits(failures=10**6, requests=10**6)
        self.client = TestClient(create_app(self.plane.services, limits=limits))
        self.sessions: dict[str, str] = {}
        self.app_id = ""
        plane = self.plane
        with database.write() as tx:
            second = Subscription("secondsub", "defaultorg", "secondloc", "second", (CAPABILITY,), (REGION,))
            subscriptions.add(tx, second, 500, plane.clock.now)
            people.add_user(tx, "admin2", "defaultorg", "admin2@x", "-", Role.TEAM_ADMIN, plane.clock.now)
            tx.execute(insert(roles).values(user_id="admin2", subscription_id="secondsub", role="team_admin"))
        users = {
            "owner": "owner",
            "member": plane.person(Role.MEMBER).caller_id,
            "team_admin": plane.person(Role.TEAM_ADMIN).caller_id,
            "other_team_admin": "admin2",
            "stranger": plane.stranger().caller_id,
        }
        self.cookies = {who: self.signed_in(user_id) for who, user_id in users.items()}

    def signed_in(self, user_id: str) -> str:
        """The cookie of a new session."""
        cookie, session_id = secrets.token_urlsafe(32), random_id()
        with self.plane.database.write() as tx:
            sessions.add(tx, session_id, cookie_hash(cookie), user_id, "", "", self.plane.clock.now)
        self.sessions[cookie] = session_id
        return cookie

    def thing(self, name: str, who: str) -> str:
        """What a request may name: it is there, and nobody has used it before."""
        plane, owner, new = self.plane, self.plane.owner, random_id()
        me = plane.services.auth.person(self.cookies[who]) if who in self.cookies else owner
        if name == "locator":
            return plane.subscription.locator
        if name == "region":
            return REGION
        if name == "capability":
            plane.services.subscriptions.add_capability(owner, "0", REGION, new.lower())
            return new.lower()
        if name == "access_key_id":
            return plane.generate(new).access_key_id
        if name == "tunnel_id":
            return plane.relays.attach(plane.generate(new), 5432).tunnel_id
        if name == "app_id":
            self.app_id = plane.services.apps.create(owner, "0", new, CAPABILITY).app_id
            return self.app_id
        if name == "credential_id":  # of the app that the same request names
            return plane.services.credentials.create(owner, "0", self.app_id).credential.credential_id
        if name == "user_id":
            return plane.person(Role.MEMBER).caller_id
        if name == "invitation_id":
            made = plane.services.invitations.create(owner, f"{new}@x.nl", Role.MEMBER)
            return made.invitation.invitation_id
        if name == "token_id":
            return plane.services.tokens.create(me, new).token.token_id
        if name == "session_id":
            return self.sessions[self.signed_in(me.caller_id)] if me.is_person else new
        assert name == "new"
        return new

    def ask(self, row: Row, who: str) -> tuple[int, str]:
        """Status and reason of a real request."""
        self.plane.clock.now += 1  # what is made later is younger, and so never the subscription 0
        sent = f"{row.path}{row.query} {json.dumps(row.body)}"
        for name in sorted(set(re.findall(r"\{(\w+)\}", sent))):
            sent = sent.replace(f"{{{name}}}", self.thing(name, who))
        path, _, body = sent.partition(" ")
        cookie = self.cookies.get(who)
        if row.path == "/v1/sign-out" and cookie is not None:
            cookie = self.signed_in(self.plane.services.auth.person(cookie).caller_id)
        response = self.client.request(
            row.method,
            path,
            json=json.loads(body),
            headers={"Cookie": f"{HOST_COOKIE}={cookie}"} if cookie else {},
        )
        reason = response.json().get("reason", "") if response.status_code >= 400 else ""
        return response.status_code, reason


@pytest.fixture(scope="module")
def world(opened_sqlite: Database) -> Iterator[World]:
    from tests.databases import emptied

    with emptied(opened_sqlite) as database:
        yield World(database)


def expected(row: Row, who: str) -> tuple[bool, str]:
    """Whether it is allowed, and the reason when it is not: read off the policy's table."""
    if who == "nobody":
        return False, "bad-token"
    role = {"other_team_admin": Role.TEAM_ADMIN, "stranger": Role.OWNER}.get(who) or Role(who)
    rule = TABLE[row.operation]
    if rule.scope is Scope.SUBSCRIPTION and who in ("other_team_admin", "stranger"):
        return False, "not-found"
    if who == "stranger" and ("{user_id}" in row.path or "{invitation_id}" in row.path):
        return False, "not-found"  # the owner of another organisation may, but not these
    if role in rule.roles:
        return True, ""
    return False, "owner-only" if rule.roles == {Role.OWNER} else "read-only"


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_the_table_is_what_happens(world: World, row: Row, who: str) -> None:
    allowed, reason = expected(row, who)
    if allowed and row.endless:
        return
    status, told = world.ask(row, who)
    if allowed:
        assert status < 300, (status, told)
        return
    assert told == reason
    assert status == {"bad-token": 401, "not-found": 404}.get(reason, 403)


def test_no_operation_and_no_route_is_forgotten(world: World) -> None:
    paths = world.client.get("/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert routes == {(row.method, row.path) for row in ROWS} | OPEN
    assert {row.operation for row in ROWS} | ELSEWHERE == set(Operation)


@pytest.mark.parametrize("operation", [one for one in TABLE if TABLE[one].scope is Scope.PERSON])
def test_what_only_a_person_may_no_token_may(world: World, operation: Operation) -> None:
    headers = {"Authorization": f"Bearer {world.plane.token}"}
    method, path, body = {
        Operation.SESSIONS_LIST: ("GET", "/v1/sessions", None),
        Operation.SESSIONS_END: ("DELETE", "/v1/sessions/any", None),
        Operation.PASSWORD_CHANGE: ("POST", "/v1/password", {"current": "x", "new": "a long enough one"}),
    }[operation]
    response = world.client.request(method, path, json=body, headers=headers)
    assert (response.status_code, response.json()["reason"]) == (403, "people-only")


def test_a_token_goes_before_a_cookie(world: World) -> None:
    headers = {"Cookie": f"{HOST_COOKIE}={world.cookies['owner']}", "Authorization": "Bearer none"}
    assert world.client.get("/v1/userinfo", headers=headers).status_code == 401


def test_the_plain_cookie_is_read_on_plain_http_alone(world: World) -> None:
    headers = {"Cookie": f"{PLAIN_COOKIE}={world.cookies['owner']}"}
    assert world.client.get("/v1/userinfo", headers=headers).status_code == 200
    assert world.client.get("https://testserver/v1/userinfo", headers=headers).status_code == 401


def test_an_organisation_always_has_an_owner(world: World) -> None:
    with world.plane.database.read() as tx:
        owners = [one for one in members.every(tx, "defaultorg") if one.role is Role.OWNER]
    headers = {"Cookie": f"{HOST_COOKIE}={world.cookies['owner']}"}
    for method, body in (("DELETE", None), ("PATCH", {"role": "member"})):
        response = world.client.request(
            method, f"/v1/members/{owners[0].user_id}", json=body, headers=headers
        )
        assert (response.status_code, response.json()["reason"]) == (409, "last-owner")
