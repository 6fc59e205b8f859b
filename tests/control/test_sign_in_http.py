"""Sign-in as a browser meets it: cookies, other sites, guesses, invitations."""

from collections.abc import Iterator

import httpx2
import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.http.cookie import HOST_COOKIE, PLAIN_COOKIE
from aditus.control.http.limits import Limits
from aditus.control.service import hashing
from aditus.crypto.passwords import hash_password, needs_rehash
from aditus.domain.errors import Code
from aditus.store import members
from aditus.store.schema import sessions
from tests.control.refused import refused
from tests.control_plane import ControlPlane

EMAIL, PASSWORD, NEW = "owner@localhost", "correct horse battery", "another long password"
FAILURES = 4
STORED = hash_password(PASSWORD)  # at full cost: the fixture that hashes quickly comes later
GOOD = {"email": EMAIL, "password": PASSWORD}


class Browser:
    """Keeps cookies as a browser does, on plain HTTP or over TLS."""

    def __init__(self, plane: ControlPlane, scheme: str = "https", address: str = "192.0.2.1") -> None:
        self.plane = plane
        with plane.database.write() as tx:
            members.set_password(tx, "owner", hash_password(PASSWORD))
        limits = Limits(failures=FAILURES, clock=lambda: 0.0)
        self.client = TestClient(
            create_app(plane.services, limits=limits),
            base_url=f"{scheme}://aditus.example",
            client=(address, 5000),
        )

    def post(self, path: str, body: object = None, **headers: str) -> httpx2.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        response: httpx2.Response = self.client.post(path, json=body, headers=named)
        return response

    def sign_in(self) -> httpx2.Response:
        response = self.post("/v1/sign-in", GOOD)
        assert response.status_code == 200
        return response


@pytest.fixture
def browser(on_sqlite: ControlPlane) -> Iterator[Browser]:
    opened = Browser(on_sqlite)
    with opened.client:  # one loop for all that a test asks
        yield opened


def reason(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["reason"]


def test_a_sign_in_sets_a_cookie_that_opens_the_api_until_the_sign_out(browser: Browser) -> None:
    assert reason(browser.client.get("/v1/userinfo")) == (401, "bad-token")
    answer = browser.sign_in()
    assert answer.json()["name"] == EMAIL
    [cookie] = answer.headers.get_list("set-cookie")
    assert cookie.startswith(f"{HOST_COOKIE}=")
    assert {"path=/", "secure", "httponly", "samesite=strict"} <= set(cookie.lower().split("; "))
    assert browser.client.get("/v1/userinfo").json()["caller_id"] == "owner"
    [session] = browser.client.get("/v1/sessions").json()["items"]
    assert (session["current"], session["source"]) == (True, "192.0.2.1")
    secret = browser.client.cookies[HOST_COOKIE]
    assert browser.post("/v1/sign-out").status_code == 204
    assert HOST_COOKIE not in browser.client.cookies
    again = browser.client.get("/v1/userinfo", headers={"Cookie": f"{HOST_COOKIE}={secret}"})
    assert reason(again) == (401, "bad-session")  # not only forgotten by the browser


def test_the_cookie_is_stored_nowhere(browser: Browser) -> None:
    browser.sign_in()
    secret = browser.client.cookies[HOST_COOKIE]
    with browser.plane.database.read() as tx:
        rows = tx.execute(sessions.select()).all()
    assert secret not in repr(rows)
    assert secret not in repr(browser.plane.events())


def test_a_hash_of_other_costs_is_made_anew_at_the_next_sign_in(browser: Browser) -> None:
    with browser.plane.database.write() as tx:
        members.set_password(tx, "owner", STORED)
    assert needs_rehash(STORED)
    browser.sign_in()
    with browser.plane.database.read() as tx:
        user = members.by_id(tx, "owner")
    assert user
    assert not needs_rehash(user.password_hash)
    browser.sign_in()


def test_plain_http_gets_the_plain_cookie_too(on_sqlite: ControlPlane) -> None:
    browser = Browser(on_sqlite, "http")
    names = {cookie.partition("=")[0] for cookie in browser.sign_in().headers.get_list("set-cookie")}
    assert names == {HOST_COOKIE, PLAIN_COOKIE}
    assert browser.client.get("/v1/userinfo").status_code == 200
    browser.client.close()


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"sec_fetch_site": "same-origin"}, True),
        ({"sec_fetch_site": "none"}, True),
        ({"sec_fetch_site": "same-site"}, False),
        ({"sec_fetch_site": "cross-site"}, False),
        ({"sec_fetch_site": "cross-site", "origin": "https://aditus.example"}, False),
        ({"origin": "https://aditus.example"}, True),
        ({"origin": "https://evil.example"}, False),
        ({"origin": "null"}, False),
        ({}, True),  # no browser
    ],
)
def test_another_site_makes_no_use_of_a_session(
    browser: Browser, headers: dict[str, str], is_ours: bool
) -> None:
    browser.sign_in()
    changed = browser.post("/v1/tokens", {"name": "ci"}, **headers)
    looked = browser.client.get(
        "/v1/userinfo", headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert looked.status_code == 200  # the browser keeps the answer from the other site
    if is_ours:
        assert changed.status_code == 201
    else:
        assert reason(changed) == (403, "cross-site")
        assert reason(browser.post("/v1/sign-in", GOOD, **headers)) == (403, "cross-site")


def test_guessing_ends_for_the_address_that_guesses_and_for_nobody_else(browser: Browser) -> None:
    wrong = {"email": EMAIL, "password": "a wrong password"}
    unknown = {"email": "nobody@localhost", "password": PASSWORD}
    answers = []
    for index in range(FAILURES):
        response = browser.post("/v1/sign-in", unknown if index % 2 else wrong)
        assert reason(response) == (401, "bad-sign-in")
        answers.append({**response.json(), "request_id": ""})
    assert all(answer == answers[0] for answer in answers)
    refusal = browser.post("/v1/sign-in", GOOD)
    assert reason(refusal) == (429, "slow-down")
    assert int(refusal.headers["retry-after"]) >= 1
    elsewhere = TestClient(
        browser.client.app, base_url="https://aditus.example", client=("198.51.100.7", 5000)
    )
    assert elsewhere.post("/v1/sign-in", json=GOOD).status_code == 200
    elsewhere.close()


def test_whoever_crowds_the_sign_in_waits_and_others_get_their_turn(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.0)
    elsewhere = TestClient(
        browser.client.app, base_url="https://aditus.example", client=("198.51.100.7", 5000)
    )
    with hashing._turn(), hashing._turn():
        for _ in range(FAILURES):
            assert reason(browser.post("/v1/sign-in", GOOD)) == (503, "sign-in-busy")
        assert reason(browser.post("/v1/sign-in", GOOD)) == (429, "slow-down")
        assert reason(elsewhere.post("/v1/sign-in", json=GOOD)) == (503, "sign-in-busy")
    assert reason(browser.post("/v1/sign-in", GOOD)) == (429, "slow-down")
    assert elsewhere.post("/v1/sign-in", json=GOOD).status_code == 200
    elsewhere.close()


def test_refused_sign_ins_of_known_people_are_recorded_together(browser: Browser) -> None:
    for password in ("wrong", "wrong too"):
        browser.post("/v1/sign-in", {"email": EMAIL, "password": password})
    browser.post("/v1/sign-in", {"email": "nobody@localhost", "password": "wrong"})
    assert not [event for event in browser.plane.events() if event.action == "session.refused"]
    for _ in range(2):
        browser.plane.services.sign_in.keep_refused()
    [refusal] = [event for event in browser.plane.events() if event.action == "session.refused"]
    assert (refusal.actor, refusal.details) == (EMAIL, {"source": "192.0.2.1", "refusals": 2})


def test_a_new_password_ends_the_other_sessions(browser: Browser) -> None:
    browser.sign_in()
    elsewhere = browser.client.cookies[HOST_COOKIE]
    browser.client.cookies.clear()
    browser.sign_in()
    assert reason(browser.post("/v1/password", {"current": "not it", "new": NEW})) == (403, "wrong-password")
    assert reason(browser.post("/v1/password", {"current": PASSWORD, "new": "short"})) == (
        422,
        "bad-password",
    )
    assert browser.post("/v1/password", {"current": PASSWORD, "new": NEW}).status_code == 204
    assert browser.client.get("/v1/userinfo").status_code == 200
    browser.client.cookies.clear()
    gone = browser.client.get("/v1/userinfo", headers={"Cookie": f"{HOST_COOKIE}={elsewhere}"})
    assert reason(gone) == (401, "bad-session")
    assert reason(browser.post("/v1/sign-in", GOOD)) == (401, "bad-sign-in")
    assert browser.post("/v1/sign-in", {"email": EMAIL, "password": NEW}).status_code == 200


def test_an_invitation_is_a_link_that_works_once(browser: Browser) -> None:
    browser.sign_in()
    made = browser.post("/v1/invitations", {"email": "Anna@x.nl", "role": "member"})
    assert made.status_code == 201
    link = made.json()["link"]
    assert link.startswith("https://aditus.example/invitation#")
    [listed] = browser.client.get("/v1/invitations").json()["items"]
    assert listed["email"] == "anna@x.nl"
    assert "link" not in listed
    browser.client.cookies.clear()
    acceptance = {"invitation": link.partition("#")[2], "password": NEW}
    accepted = browser.post("/v1/invitations/accept", acceptance)
    assert accepted.status_code == 201
    assert (accepted.json()["email"], accepted.json()["role"]) == ("anna@x.nl", "member")
    assert reason(browser.post("/v1/invitations/accept", acceptance)) == (404, "no-invitation")
    assert browser.post("/v1/sign-in", {"email": "ANNA@x.nl", "password": NEW}).status_code == 200
    assert reason(browser.client.get("/v1/members")) == (403, "owner-only")


def test_passwords_are_hashed_two_at_a_time_and_a_crowd_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hashing._turn(), hashing._turn():
        monkeypatch.setattr(hashing, "WAIT_SECONDS", 0.0)
        refused(Code.UNAVAILABLE, "sign-in-busy", lambda: hashing.hashed("a password"))
    assert hashing.verified(PASSWORD, STORED)
