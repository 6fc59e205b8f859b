"""What scripts of the product that is replaced ask, and what they are answered."""

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from tests.control_plane import CAPABILITY, ControlPlane

APPS = "/v1/subscriptions/0/apps"


@pytest.fixture
def client(plane: ControlPlane) -> Iterator[TestClient]:
    plane.generate("berlin")
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    with TestClient(create_app(plane.services), headers={"Authorization": f"Bearer {plane.token}"}) as client:
        yield client


def test_put_tunnelkey_is_accepted_with_202_and_again_is_no_harm(client: TestClient) -> None:
    for _ in range(2):
        answer = client.put(f"{APPS}/shop/env/tunnelkey", params={"tunnelKey": "berlin"})
        assert (answer.status_code, answer.json()["access_key_id"]) == (202, "berlin")
    unknown = client.put(f"{APPS}/shop/env/tunnelkey", params={"tunnelKey": "paris"})
    assert unknown.status_code == 404


def test_put_tunnelkey_asks_for_the_region_when_several_have_the_key(
    client: TestClient, plane: ControlPlane
) -> None:
    plane.add_region("eu", CAPABILITY)
    plane.generate("berlin", "eu")
    asked = {"tunnelKey": "berlin"}
    assert client.put(f"{APPS}/shop/env/tunnelkey", params=asked).status_code == 409
    answer = client.put(f"{APPS}/shop/env/tunnelkey", params=asked | {"region": "eu"})
    assert (answer.status_code, answer.json()["region"]) == (202, "eu")


def test_delete_tunnelkey_is_accepted_with_202_and_again_is_no_harm(client: TestClient) -> None:
    client.put(f"{APPS}/shop/env/tunnelkey", params={"tunnelKey": "berlin"})
    for _ in range(2):
        answer = client.delete(f"{APPS}/shop/env/tunnelkey")
        assert (answer.status_code, answer.json()["access_key_id"]) == (202, "")


def test_no_app_is_touched_by_its_association(client: TestClient) -> None:
    before = client.get(f"{APPS}/shop").json()
    client.put(f"{APPS}/shop/env/tunnelkey", params={"tunnelKey": "berlin"})
    client.delete(f"{APPS}/shop/env/tunnelkey")
    assert client.get(f"{APPS}/shop").json() == before


def test_userinfo_tells_organisations_locators_and_roles(client: TestClient) -> None:
    told = client.get("/v1/userinfo").json()
    assert [one["role"] for one in told["organizations"]] == ["owner"]
    assert [(one["locator"], one["roles"]) for one in told["subscriptions"]] == [("defaultloc", ["owner"])]


def test_locator_0_is_the_callers_own_subscription(client: TestClient) -> None:
    own = client.get("/v1/subscriptions/0").json()
    assert own["locator"] == "defaultloc"
    assert client.get("/v1/subscriptions/defaultloc").json() == own


def test_status_tells_what_an_app_can_reach(client: TestClient, plane: ControlPlane) -> None:
    key = plane.services.keys.show(plane.owner, "0", "local", "berlin")
    assert client.get(f"{APPS}/shop/status").json()["ports"] == []
    client.put(f"{APPS}/shop/env/tunnelkey", params={"tunnelKey": "berlin"})
    plane.relays.attach(key, 5432)
    status = client.get(f"{APPS}/shop/status").json()
    assert (status["tunnels"], status["ports"]) == (1, [5432])
