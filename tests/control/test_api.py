"""The API as it is on the wire: its addresses, its answers, and what never stands in them."""

import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.api.gate import MAX_BODY
from aditus.control.http.status import STATUS, TITLES
from aditus.crypto.keys import generate_pair
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import Caller, Role, SubscriptionInfo, UserInfo
from aditus.domain.relays import RelaySecret
from tests.control_plane import CAPABILITY, START, ControlPlane

SUBSCRIPTION = "/v1/subscriptions/0"
KEYS = f"{SUBSCRIPTION}/regions/local/access-keys"
APPS = f"{SUBSCRIPTION}/apps"
MARK = "zq7Mark"


class Api:
    """The API of a control plane, asked as its owner."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.ready = True
        self.client = TestClient(create_app(plane.services, ready=lambda: self.ready))

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.plane.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        response: httpx2.Response = self.client.request(method, path, json=body, headers=headers)
        return response

    def raw(self, method: str, path: str, content: bytes) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.plane.token}", "Content-Type": "application/json"}
        response: httpx2.Response = self.client.request(method, path, content=content, headers=headers)
        return response

    def made(self, name: str) -> dict[str, Any]:
        response = self.ask("POST", KEYS, {"access_key_id": name, "capability": CAPABILITY})
        assert response.status_code == 201
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def api(on_sqlite: ControlPlane) -> Iterator[Api]:
    opened = Api(on_sqlite)
    with opened.client:  # one loop for all that a test asks
        yield opened


def problem(response: httpx2.Response, status: int, reason: str) -> dict[str, Any]:
    """The body of a response that must be this problem."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["reason"] == reason
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["type"].startswith("urn:aditus:problem:")
    assert all(body[name] for name in ("title", "detail", "remedy"))
    assert response.headers["cache-control"] == "no-store"
    return body


# --- what is answered ---


def test_generating_a_key_over_http(api: Api) -> None:
    sent = {
        "access_key_id": "berlin",
        "capability": CAPABILITY,
        "description": "the first",
        "expires_at": "2030-01-31T14:00:00+02:00",
    }
    response = api.ask("POST", KEYS, sent)
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    answer = response.json()
    parsed = parse_access_key(answer.pop("secret_access_key"))
    assert (parsed.region, parsed.key_id) == ("local", answer["key_id"])
    assert answer["connect_url"].startswith("wss://localhost:8443/connect/")
    assert answer["expires_at"] == "2030-01-31T12:00:00.000000Z"
    assert datetime.fromisoformat(answer["created_at"]).timestamp() == START
    assert answer.items() >= {
        "access_key_id": "berlin", "capability": CAPABILITY, "description": "the first", "region": "local",
        "relay_url": "wss://localhost:8443", "state": "active", "apps": [], "revoked_at": None,
    }.items()  # fmt: skip
    assert api.ask("GET", f"{KEYS}/berlin").json() == answer


def test_a_public_key_travels_as_base64url(api: Api) -> None:
    pair = generate_pair()
    text = base64.urlsafe_b64encode(pair.public).decode()
    for number, form in enumerate((text, text.rstrip("="))):
        body = {"access_key_id": f"key {number}", "capability": CAPABILITY, "public_key": form}
        answer = api.ask("POST", KEYS, body).json()
        assert answer["secret_access_key"] is None
        assert api.plane.relays.known[answer["key_id"]].secrets == (RelaySecret(pair.public),)
    for wrong in ("", "x", text[:-4], text + "AAAA", "!" * 43, "é" * 43):
        body = {"access_key_id": "wrong", "capability": CAPABILITY, "public_key": wrong}
        assert problem(api.ask("POST", KEYS, body), 422, "bad-public-key")["field"] == "public_key"


def test_the_life_of_a_key_over_http(api: Api) -> None:
    key = api.made("Zürich & Söhne #1")
    one = f"{KEYS}/Z%C3%BCrich%20%26%20S%C3%B6hne%20%231"
    assert api.ask("PATCH", one, {"description": "x"}).json()["description"] == "x"
    assert api.ask("PATCH", one, {"expires_at": "2030-01-01T00:00:00Z"}).json()["description"] == "x"
    assert api.ask("PATCH", one, {"expires_at": None}).json()["expires_at"] is None
    suspended = api.ask("POST", f"{one}/suspend").json()
    assert suspended["key"]["state"] == "suspended"
    assert suspended["cut"] == {"key_id": key["key_id"], "tunnels": 0, "streams": 0, "milliseconds": 0.0}
    assert api.ask("POST", f"{one}/resume").json()["state"] == "active"
    assert api.ask("DELETE", one).json()["result"] == "revoked"
    assert api.ask("DELETE", one).json()["result"] == "already-revoked"
    shown = api.ask("GET", one).json()
    assert (shown["state"], shown["connect_url"]) == ("revoked", "")
    problem(api.ask("DELETE", f"{KEYS}/nobody"), 404, "not-found")


def test_revoking_many_over_http(api: Api) -> None:
    for name in ("a", "b"):
        api.made(name)
    body = {"access_key_ids": ["b", "x", "a"], "dry_run": True}
    for dry_run in (True, False):
        answer = api.ask("POST", f"{KEYS}/revoke", body | {"dry_run": dry_run}).json()
        assert answer["dry_run"] is dry_run
        assert [(one["access_key_id"], one["result"]) for one in answer["results"]] == [
            ("b", "revoked"),
            ("x", "not-found"),
            ("a", "revoked"),
        ]
        assert answer["results"][0]["pending_relays"] == []


def test_lists_are_paged_over_http(api: Api) -> None:
    for number in range(5):
        api.made(f"key {number}")
    names: list[str] = []
    cursor = ""
    for size in (2, 2, 1):
        page = api.ask("GET", f"{KEYS}?limit=2&cursor={cursor}").json()
        assert len(page["items"]) == size
        names += [key["access_key_id"] for key in page["items"]]
        assert "secret_access_key" not in page["items"][0]
        cursor = page["next_cursor"]
    assert cursor == ""
    assert sorted(names) == [f"key {number}" for number in range(5)]
    assert len(api.ask("GET", f"{KEYS}?state=revoked").json()["items"]) == 0


def test_apps_over_http(api: Api) -> None:
    api.made("berlin")
    response = api.ask("POST", APPS, {"name": "shop", "capability": CAPABILITY})
    assert response.status_code == 201
    app = response.json()
    response = api.ask("PUT", f"{APPS}/{app['app_id']}/env/tunnelkey?tunnelKey=berlin")
    assert (response.status_code, response.json()["key_state"]) == (202, "active")
    shown = api.ask("GET", f"{APPS}/shop").json()
    assert shown["access_key_id"] == "berlin"
    assert response.json() == {**shown, "pending_relays": []}
    assert api.ask("GET", APPS).json()["items"] == [shown]
    assert api.ask("GET", f"{APPS}/shop/status").json()["ports"] == []
    problem(api.ask("PUT", f"{APPS}/shop/env/tunnelkey?tunnelKey=nobody"), 404, "not-found")
    response = api.ask("DELETE", f"{APPS}/shop/env/tunnelkey")
    assert (response.status_code, response.json()["key_state"]) == (202, None)
    assert api.ask("DELETE", f"{APPS}/shop").status_code == 204
    problem(api.ask("GET", f"{APPS}/shop"), 404, "not-found")


def test_a_credential_over_http_is_shown_once(api: Api) -> None:
    api.ask("POST", APPS, {"name": "shop", "capability": CAPABILITY})
    made = api.ask("POST", f"{APPS}/shop/credentials", {}, Idempotency_Key="try-1")
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    secret, credential_id = made.json()["app_secret"], made.json()["credential_id"]
    replay = api.ask("POST", f"{APPS}/shop/credentials", {}, Idempotency_Key="try-1")
    assert problem(replay, 409, "idempotent-replay")["credential_id"] == credential_id
    listed = api.ask("GET", f"{APPS}/shop/credentials")
    assert [one["credential_id"] for one in listed.json()["items"]] == [credential_id]
    ended = api.ask("DELETE", f"{APPS}/shop/credentials/{credential_id}")
    assert (ended.status_code, ended.json()["pending_relays"]) == (200, [])
    for later in (replay, listed, ended, api.ask("GET", f"{SUBSCRIPTION}/audit-events")):
        assert secret not in later.text
        assert "adta_" not in later.text
    problem(api.ask("DELETE", f"{APPS}/shop/credentials/nobody"), 404, "not-found")


def test_who_and_where_over_http(api: Api) -> None:
    who = api.ask("GET", "/v1/userinfo").json()
    assert who["organizations"] == [{"organization_id": "defaultorg", "name": "default", "role": "owner"}]
    assert who["subscriptions"] == [{"locator": "defaultloc", "name": "default", "roles": ["owner"]}]
    api.made("berlin")
    shown = api.ask("GET", SUBSCRIPTION).json()
    assert (
        shown.items() >= {"locator": "defaultloc", "capabilities": [CAPABILITY], "regions": ["local"]}.items()
    )
    assert shown["quotas"] == {"access_keys": {"local": {"used": 1, "limit": 500}}}
    assert api.ask("GET", "/v1/subscriptions/defaultloc").json() == shown


def test_what_is_live_over_http(api: Api) -> None:
    api.made("berlin")
    key = api.plane.services.keys.show(api.plane.owner, "0", "local", "berlin")
    api.plane.relays.attach(key, 5432, streams=1)
    (tunnel,) = api.ask("GET", f"{SUBSCRIPTION}/tunnels").json()["items"]
    assert tunnel["ports"] == [{"port": 5432, "accepted": True, "verdict": "accepted", "detail": ""}]
    (stream,) = api.ask("GET", f"{SUBSCRIPTION}/streams").json()["items"]
    assert (stream["port"], stream["bytes_in"], stream["bytes_out"]) == (5432, 3, 4)
    assert api.ask("DELETE", f"{SUBSCRIPTION}/tunnels/{tunnel['tunnel_id']}").status_code == 204
    problem(api.ask("DELETE", f"{SUBSCRIPTION}/tunnels/{tunnel['tunnel_id']}"), 404, "not-found")
    events = api.ask("GET", f"{SUBSCRIPTION}/audit-events?limit=1").json()
    assert [event["action"] for event in events["items"]] == ["tunnel.cut"]
    assert events["next_cursor"]


def test_tokens_over_http(api: Api) -> None:
    response = api.ask("POST", "/v1/tokens", {"name": "ci", "role": "member"})
    assert response.status_code == 201
    new = response.json()
    reader = {"Authorization": f"Bearer {new.pop('token')}"}
    assert api.ask("GET", "/v1/userinfo", **reader).json()["caller_id"] == new["token_id"]
    problem(api.ask("POST", APPS, {"name": "x", "capability": CAPABILITY}, **reader), 403, "read-only")
    listed = {token["token_id"]: token for token in api.ask("GET", "/v1/tokens").json()["items"]}
    assert listed[new["token_id"]] == new | {"last_used_at": listed[new["token_id"]]["last_used_at"]}
    assert "token" not in listed[new["token_id"]]
    assert api.ask("DELETE", f"/v1/tokens/{new['token_id']}").status_code == 204
    problem(api.ask("GET", "/v1/userinfo", **reader), 401, "bad-token")


def test_a_replayed_create_names_what_was_made_and_shows_no_secret(api: Api) -> None:
    body = {"access_key_id": "berlin", "capability": CAPABILITY}
    made = api.ask("POST", KEYS, body, Idempotency_Key="try-1").json()
    replay = api.ask("POST", KEYS, body, Idempotency_Key="try-1")
    assert problem(replay, 409, "idempotent-replay")["key_id"] == made["key_id"]
    assert "secret" not in replay.json()
    assert made["secret_access_key"] not in replay.text
    assert len(api.ask("GET", KEYS).json()["items"]) == 1


def test_the_501st_key_is_a_conflict_that_says_what_to_do(api: Api) -> None:
    api.plane.fill(500)
    body = {"access_key_id": "the 501st", "capability": CAPABILITY}
    told = problem(api.ask("POST", KEYS, body), 409, "key-quota")
    assert told["type"] == "urn:aditus:problem:limit"
    assert "Revoke" in told["remedy"]


# --- who is let in ---


def test_without_a_token_nothing_is_told_apart(api: Api) -> None:
    """Not what exists, not what a body should be: whoever has no token learns that alone."""
    asked = [
        ("GET", "/v1"),
        ("GET", "/v1/userinfo"),
        ("GET", "/v1/no/such/address"),
        ("PUT", "/v1/tokens"),
        ("POST", KEYS),
        ("GET", f"{KEYS}/berlin"),
    ]
    told = set()
    for method, path in asked:
        for headers in ({}, {"Authorization": "Basic eDp5"}, {"Authorization": "Bearer x"}):
            response = api.client.request(method, path, content=b"{" * 9, headers=headers)
            body = problem(response, 401, "bad-token")
            assert response.headers["www-authenticate"] == 'Bearer realm="aditus"'
            del body["request_id"]
            told.add(json.dumps(body))
    assert len(told) == 1


def test_health_needs_no_token(api: Api) -> None:
    assert api.client.get("/healthz").json() == {"status": "ok"}
    assert api.client.get("/readyz").json() == {"status": "ready"}
    api.ready = False
    problem(api.client.get("/readyz"), 503, "not-ready")
    assert api.client.get("/healthz").status_code == 200


def test_without_its_database_the_server_lives_and_is_not_ready(api: Api) -> None:
    def gone() -> None:
        raise AditusError(Code.UNAVAILABLE, "database-unavailable", "It is gone.", remedy="Wait.")

    services = api.plane.services
    broken = replace(services, alive=gone)
    client = TestClient(create_app(broken))
    problem(client.get("/readyz"), 503, "database-unavailable")
    assert client.get("/healthz").status_code == 200
    client.close()


def test_scripts_of_others_get_nothing(api: Api) -> None:
    headers = api.client.get("/healthz").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "access-control-allow-origin" not in headers
    problem(api.client.get("/redoc"), 404, "no-such-address")


# --- what cannot be right ---


def test_every_code_has_its_status() -> None:
    assert set(STATUS) == set(TITLES) == set(Code)


WRONG_FIELDS: list[tuple[object, str, str | None]] = [
    ({}, "missing-field", "access_key_id"),
    ({"access_key_id": "x"}, "missing-field", "capability"),
    ({"access_key_id": 5, "capability": "c"}, "bad-field", "access_key_id"),
    ({"access_key_id": "x" * 3000, "capability": "c"}, "bad-field", "access_key_id"),
    ({"access_key_id": "a/b", "capability": "c"}, "bad-name", "access_key_id"),
    ({"access_key_id": "x", "capability": "C!"}, "bad-name", "capability"),
    ({"access_key_id": "x", "capability": "c", "description": "a\nb"}, "bad-text", "description"),
    ({"access_key_id": "x", "capability": "c", "description": "x" * 501}, "bad-text", "description"),
    ({"access_key_id": "x", "capability": "c", "expires_at": "tomorrow"}, "bad-field", "expires_at"),
    ({"access_key_id": "x", "capability": "c", "expires_at": 1900000000}, "bad-field", "expires_at"),
    ({"access_key_id": "x", "capability": "c", "expires_at": "1900000000"}, "bad-field", "expires_at"),
    ({"access_key_id": "x", "capability": "c", "expires_at": "2030-01-01"}, "bad-field", "expires_at"),
    (
        {"access_key_id": "x", "capability": "c", "expires_at": "2030-01-01T00:00:00"},
        "bad-field",
        "expires_at",
    ),
    (
        {"access_key_id": "x", "capability": "c", "expires_at": "9999-12-31T23:59:59-23:59"},
        "bad-expiry",
        "expires_at",
    ),
    ({"access_key_id": "x", "capability": "c", "secret": "y"}, "unknown-field", None),
    ([], "bad-field", "body"),
    ("text", "bad-field", "body"),
]


def test_a_wrong_field_is_named(api: Api) -> None:
    for body, reason, field in WRONG_FIELDS:
        assert problem(api.ask("POST", KEYS, body), 422, reason).get("field") == field, body


def test_a_wrong_query_is_named(api: Api) -> None:
    for query, reason, field in (
        ("limit=0", "bad-field", "limit"),
        ("limit=501", "bad-field", "limit"),
        ("limit=x", "bad-field", "limit"),
        ("state=replaced", "bad-field", "state"),
        ("cursor=x", "bad-cursor", "cursor"),
        ("sort=name", "unknown-field", None),
    ):
        assert problem(api.ask("GET", f"{KEYS}?{query}"), 422, reason).get("field") == field, query


def test_what_is_no_json_is_refused(api: Api) -> None:
    for content, status, reason in (
        (b"", 422, "missing-field"),
        (b"{", 422, "bad-json"),
        (b'{"\xff": 1}', 400, "bad-request"),
        (b"[" * 50_000, 400, "bad-request"),
        (b"1" * 5_000, 400, "bad-request"),
        (b'{"access_key_id": "\\ud800", "capability": "c"}', 422, "bad-field"),
        (b'{"access_key_id": NaN, "capability": "c"}', 422, "bad-field"),
    ):
        problem(api.raw("POST", KEYS, content), status, reason)


def test_a_body_has_a_bound_however_it_is_sent(api: Api) -> None:
    fits = json.dumps({"access_key_id": "x", "capability": CAPABILITY}).encode().ljust(MAX_BODY)
    assert api.raw("POST", KEYS, fits).status_code == 201
    problem(api.raw("POST", KEYS, fits + b" "), 413, "body-too-large")
    headers = {"Authorization": f"Bearer {api.plane.token}"}
    in_chunks = api.client.post(KEYS, content=iter([b" " * 1000] * 66), headers=headers)
    problem(in_chunks, 413, "body-too-large")
    lies = api.client.post(KEYS, content=b"{}", headers=headers | {"Content-Length": "9" * 30})
    problem(lies, 413, "body-too-large")


def test_addresses_and_methods_that_do_not_exist(api: Api) -> None:
    problem(api.ask("GET", "/v1/nothing"), 404, "no-such-address")
    problem(api.client.get("/"), 404, "no-such-address")
    problem(api.ask("GET", f"{KEYS}/"), 404, "no-such-address")
    response = api.ask("PUT", KEYS)
    problem(response, 405, "method-not-allowed")
    assert response.headers["allow"]
    for path in ("/v1/subscriptions/nobody", "/v1/subscriptions/0/regions/nowhere/access-keys"):
        problem(api.ask("GET", path), 404, "not-found")


def test_a_defect_shows_nothing_and_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def userinfo(self, caller: Caller) -> UserInfo:
            raise ZeroDivisionError(f"with details: {caller}")

        def show(self, caller: Caller, locator: str) -> SubscriptionInfo:
            raise ZeroDivisionError

    services = api.plane.services
    broken = replace(services, subscriptions=Broken())  # type: ignore[arg-type]
    client = TestClient(create_app(broken))
    with caplog.at_level(logging.ERROR, "aditus"):
        response = client.get("/v1/userinfo", headers={"Authorization": f"Bearer {api.plane.token}"})
    client.close()
    told = problem(response, 500, "internal")
    assert "details" not in response.text
    (record,) = caplog.records
    assert record.exc_info is not None
    assert getattr(record, "fields", {})["request_id"] == told["request_id"]


# --- no error echoes its input ---


def test_no_error_echoes_its_input(api: Api) -> None:
    bodies: list[object] = [
        MARK,
        [MARK],
        {MARK: MARK},
        {"access_key_id": MARK, "capability": MARK},
        {"access_key_id": f"{MARK}/", "capability": MARK},
        {"access_key_id": [MARK], "capability": {MARK: MARK}},
        {"access_key_id": "x", "capability": CAPABILITY, "expires_at": MARK},
        {"access_key_id": "x", "capability": CAPABILITY, "expires_at": [MARK]},
        {"access_key_id": "x", "capability": CAPABILITY, "public_key": MARK},
        {"access_key_id": "x", "capability": CAPABILITY, "description": f"{MARK}\0"},
        {"access_key_ids": [f"{MARK}/"]},
        {"access_key_ids": MARK, "dry_run": MARK},
        {"name": f"{MARK}/", "capability": MARK, "role": MARK, "locator": MARK},
        {"name": MARK, "role": "team_admin", "locator": MARK},
        {"name": MARK, "capability": f"{MARK}"},
        {"description": [MARK], "expires_at": MARK},
    ]
    responses = [
        api.ask(method, path, body)
        for method, path in (
            ("POST", KEYS),
            ("POST", f"{KEYS}/revoke"),
            ("PATCH", f"{KEYS}/{MARK}"),
            ("POST", APPS),
            ("POST", "/v1/tokens"),
        )
        for body in bodies
    ]
    responses += [
        api.ask(method, path)
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        for path in (
            f"/{MARK}",
            f"/v1/{MARK}",
            f"/v1/subscriptions/{MARK}",
            f"/v1/subscriptions/0/regions/{MARK}/access-keys",
            f"{KEYS}/{MARK}",
            f"{KEYS}/{MARK}%00",
            f"{KEYS}/{MARK}/suspend",
            f"{KEYS}?cursor={MARK}",
            f"{KEYS}?limit={MARK}",
            f"{KEYS}?state={MARK}",
            f"{KEYS}?{MARK}={MARK}",
            f"{APPS}/{MARK}",
            f"{APPS}/{MARK}/env/tunnelkey?tunnelKey={MARK}&region={MARK}",
            f"{SUBSCRIPTION}/tunnels/{MARK}",
            f"{SUBSCRIPTION}/audit-events?cursor={MARK}",
            f"/v1/tokens/{MARK}",
        )
    ]
    good = {"access_key_id": "x", "capability": CAPABILITY}
    responses += [
        api.ask("POST", KEYS, good, Idempotency_Key=f"{MARK} {MARK}"),
        api.ask("GET", KEYS, Authorization=f"Bearer {MARK}"),
        api.raw("POST", KEYS, f'{{"{MARK}'.encode()),
        api.raw("POST", KEYS, MARK.encode() * 20_000),
    ]
    refused = [response for response in responses if response.status_code >= 400]
    assert len(refused) > 100
    for response in refused:
        assert response.headers["content-type"] == "application/problem+json"
        assert MARK.lower() not in response.text.lower(), response.request.url
        assert MARK.lower() not in str(response.headers).lower()
        assert response.status_code < 500


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(
    [
        *("access_key_id", "capability", "description", "expires_at", "public_key"),
        *("access_key_ids", "dry_run", "name", "role", "locator"),
    ]
)
texts = st.text(max_size=12) | st.sampled_from(["x", CAPABILITY, "2030-01-01T00:00:00Z", "0", "\0", ".."])


@given(
    method=st.sampled_from(["POST", "PATCH", "PUT", "GET", "DELETE"]),
    path=st.lists(
        texts | st.sampled_from(["v1", "subscriptions", "regions", "local", "access-keys", "apps"])
    ),
    start=st.sampled_from([[], [KEYS.lstrip("/")], [APPS.lstrip("/")], ["v1/tokens"]]),
    body=st.dictionaries(fields, texts | json_values, max_size=4) | json_values,
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_sent_makes_a_defect(
    api: Api, method: str, path: list[str], start: list[str], body: object
) -> None:
    where = "/".join([*start, *("".join(f"%{byte:02X}" for byte in _bytes(part)) for part in path)])
    content = json.dumps(body).encode()
    response = api.raw(method, f"/{where}", content)
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# --- the contract ---

CONTRACT = """
GET /v1/userinfo
GET /v1/subscriptions/{locator}
POST /v1/subscriptions/{locator}/regions/{region}/access-keys
GET /v1/subscriptions/{locator}/regions/{region}/access-keys
GET /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}
PATCH /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}
DELETE /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}
POST /v1/subscriptions/{locator}/regions/{region}/access-keys/revoke
POST /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}/suspend
POST /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}/resume
POST /v1/subscriptions/{locator}/regions/{region}/access-keys/{access_key_id}/rotate
GET /v1/subscriptions/{locator}/apps
POST /v1/subscriptions/{locator}/apps
GET /v1/subscriptions/{locator}/apps/{app_id}
PATCH /v1/subscriptions/{locator}/apps/{app_id}
GET /v1/subscriptions/{locator}/events
DELETE /v1/subscriptions/{locator}/apps/{app_id}
GET /v1/subscriptions/{locator}/apps/{app_id}/status
PUT /v1/subscriptions/{locator}/apps/{app_id}/env/tunnelkey
DELETE /v1/subscriptions/{locator}/apps/{app_id}/env/tunnelkey
GET /v1/subscriptions/{locator}/tunnels
DELETE /v1/subscriptions/{locator}/tunnels/{tunnel_id}
GET /v1/subscriptions/{locator}/streams
GET /v1/subscriptions/{locator}/audit-events
GET /v1/tokens
POST /v1/tokens
DELETE /v1/tokens/{token_id}
GET /healthz
GET /readyz
"""


def test_the_openapi_document_is_the_contract(api: Api) -> None:
    document = api.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) >= set(CONTRACT.split("\n")[1:-1])
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for name, operation in operations.items():
        for status, answer in operation["responses"].items():
            assert status < "400" or set(answer["content"]) == {"application/problem+json"}
        assert operation["description"]
        is_open = name in ("POST /v1/sign-in", "POST /v1/invitations/accept")
        assert ("security" in operation) == ("/v1/" in name and not is_open)
    assert "HTTPValidationError" not in json.dumps(document)  # the framework's own, which is never sent


def test_a_member_may_read_over_http(api: Api) -> None:
    new = api.plane.services.tokens.create(api.plane.owner, "reader", role=Role.MEMBER)
    reader = {"Authorization": f"Bearer {new.secret.reveal()}"}
    assert api.ask("GET", KEYS, **reader).status_code == 200
    problem(api.ask("POST", f"{KEYS}/revoke", {"access_key_ids": ["x"]}, **reader), 403, "read-only")
