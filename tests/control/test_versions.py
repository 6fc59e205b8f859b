"""Whoever names the version that was read changes nothing newer."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from tests.control_plane import CAPABILITY, ControlPlane

KEY = "/v1/subscriptions/0/regions/local/access-keys/berlin"
APP = "/v1/subscriptions/0/apps/shop"


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[TestClient]:
    plane.generate("berlin")
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    with TestClient(create_app(plane.services), headers={"Authorization": f"Bearer {plane.token}"}) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "first", "second"),
    [(KEY, {"description": "a"}, {"description": "b"}), (APP, {"name": "shop"}, {"name": "shop"})],
)
def test_reading_gives_a_strong_version_and_a_patch_with_it_goes_through(
    client: TestClient, path: str, first: dict[str, str], second: dict[str, str]
) -> None:
    tag = client.get(path).headers["etag"]
    assert tag.startswith('"')
    changed = client.patch(path, json=first, headers={"If-Match": f'"other", {tag}'})
    assert changed.status_code == 200
    assert changed.headers["etag"] == client.get(path).headers["etag"]
    assert client.patch(path, json=second, headers={"If-Match": "*"}).status_code == 200


def test_a_stale_version_changes_nothing(client: TestClient) -> None:
    for path, change in ((KEY, {"description": "mine"}), (APP, {"name": "market"})):
        stale = client.get(path).headers["etag"]
        other = {"description": "theirs"} if path == KEY else {"name": "bazaar"}
        assert client.patch(path, json=other).status_code == 200
        now = path if path == KEY else path.replace("shop", "bazaar")
        refused = client.patch(now, json=change, headers={"If-Match": stale})
        assert (refused.status_code, refused.json()["reason"]) == (412, "changed-meanwhile")
        assert client.get(now).json().items() >= other.items()
        weak = client.patch(now, json=change, headers={"If-Match": f"W/{client.get(now).headers['etag']}"})
        assert weak.status_code == 412


@pytest.mark.parametrize("tag", ["x", '"', '"a" "b"', "*, *", '"' + "x" * 2_000 + '"'])
def test_what_is_no_version_is_refused_without_an_echo(client: TestClient, tag: str) -> None:
    refused = client.patch(KEY, json={}, headers={"If-Match": tag})
    assert (refused.status_code, refused.json()["reason"]) == (422, "bad-if-match")
    assert refused.json()["field"] == "If-Match"


def test_an_app_is_renamed_and_keeps_what_it_has(client: TestClient) -> None:
    client.put(f"{APP}/env/tunnelkey?tunnelKey=berlin")
    before = client.get(APP).json()
    renamed = client.patch(APP, json={"name": "market"})
    assert renamed.json() == before | {"name": "market"}
    client.post("/v1/subscriptions/0/apps", json={"name": "shop", "capability": CAPABILITY})
    taken = client.patch(APP, json={"name": "market"})
    assert (taken.status_code, taken.json()["reason"]) == (409, "app-exists")
    assert client.patch(APP, json={"name": ""}).status_code == 422


def test_a_request_is_called_as_its_caller_calls_it(client: TestClient) -> None:
    given = client.get(KEY, headers={"X-Request-Id": "job-2025-0001"})
    assert given.headers["x-request-id"] == "job-2025-0001"
    for wrong in ("short", "x" * 65, "with space", "sla/sh/sla/sh"):
        answer = client.get(KEY, headers={"X-Request-Id": wrong})
        assert answer.headers["x-request-id"] != wrong
