"""The client against a real server: each method gives the domain's values, each failure what to do."""

import dataclasses
from collections.abc import Iterator

import pytest

from aditus.client.rest import Client
from aditus.crypto.keys import generate_pair
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import AccessKey, Cut, KeyState, Role
from aditus.domain.relays import RelaySecret
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane


@pytest.fixture
def client(plane: ControlPlane, api_url: str) -> Iterator[Client]:
    with Client(api_url, plane.token) as opened:
        yield opened


def shown(plane: ControlPlane, name: str) -> AccessKey:
    return plane.services.keys.show(plane.owner, "0", REGION, name)


def test_who_and_where(client: Client, plane: ControlPlane) -> None:
    assert client.userinfo() == plane.services.subscriptions.userinfo(plane.owner)
    assert client.subscription() == plane.services.subscriptions.show(plane.owner, "0")


def test_a_key_is_the_same_here_and_there(client: Client, plane: ControlPlane) -> None:
    new = client.generate_key("Zürich #1", CAPABILITY, description="the first", expires_at=START + 0.25)
    assert new.key == shown(plane, "Zürich #1") == client.show_key("Zürich #1")
    assert new.secret is not None
    parsed = parse_access_key(new.secret.reveal())
    assert (parsed.region, parsed.key_id) == (REGION, new.key.key_id)
    assert new.key.expires_at == START + 0.25


def test_a_key_has_its_rules_from_birth(client: Client) -> None:
    new = client.generate_key("narrow", CAPABILITY, allowed_ports=[5432], allowed_sources=[])
    assert (new.key.allowed_ports, new.key.allowed_sources) == ((5432,), ())


@pytest.mark.parametrize("app", ["", ".", "..", "shop/env/tunnelkey"])
def test_no_name_leads_to_another_address(client: Client, app: str) -> None:
    with pytest.raises(AditusError) as raised:
        client.delete_app(app)
    assert (raised.value.code, raised.value.reason) == (Code.INVALID, "bad-name")


def test_a_key_of_ones_own_pair(client: Client, plane: ControlPlane) -> None:
    pair = generate_pair()
    new = client.generate_key("mine", CAPABILITY, public_key=pair.public)
    assert new.secret is None
    assert plane.relays.known[new.key.key_id].secrets == (RelaySecret(pair.public),)


def test_a_retry_does_not_make_a_second_key(client: Client) -> None:
    first = client.generate_key("berlin", CAPABILITY, idempotency_key="try-1")
    with pytest.raises(AditusError, match=first.key.key_id) as raised:
        client.generate_key("berlin", CAPABILITY, idempotency_key="try-1")
    assert (raised.value.code, raised.value.reason) == (Code.CONFLICT, "idempotent-replay")


def test_lists_go_on_over_pages(client: Client, plane: ControlPlane) -> None:
    plane.fill(500)
    names = [key.access_key_id for key in client.list_keys()]
    assert names == [f"filled {number:06}" for number in range(500)]
    plane.services.keys.revoke(plane.owner, "0", REGION, names[:2])
    plane.clock.now += 1
    plane.generate("on the second page")
    listed = list(client.list_keys())
    assert len(listed) == 501
    assert listed[-1] == shown(plane, "on the second page")
    assert [key.access_key_id for key in client.list_keys(state=KeyState.REVOKED)] == names[:2]


def test_the_life_of_a_key(client: Client, plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    assert client.update_key("berlin", {"description": "new"}).description == "new"
    assert client.update_key("berlin", {"expires_at": START + 5}).expires_at == START + 5
    unending = client.update_key("berlin", {"expires_at": None})
    assert unending == dataclasses.replace(key, description="new", epoch=4)
    plane.relays.attach(key, 5432, streams=2)
    suspended = client.suspend_key("berlin")
    assert (suspended.key.state, suspended.cut) == (KeyState.SUSPENDED, Cut(key.key_id, 1, 2))
    assert client.resume_key("berlin").state is KeyState.ACTIVE


def test_revoking_many(client: Client, plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    plane.services.apps.associate(plane.owner, "0", "shop", "berlin")
    plane.relays.attach(key, 5432, streams=2)
    for dry_run in (True, False):
        results = client.revoke_keys(["berlin", "nobody"], dry_run=dry_run)
        assert [(result.access_key_id, result.key_id, result.result) for result in results] == [
            ("berlin", key.key_id, "revoked"),
            ("nobody", "", "not-found"),
        ]
        assert (results[0].cut, results[0].apps) == (Cut(key.key_id, 1, 2), ("shop",))
    assert client.show_key("berlin").state is KeyState.REVOKED


def test_apps(client: Client, plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    app = client.create_app("shop & co", CAPABILITY)
    assert app == client.show_app("shop & co") == client.show_app(app.app_id)
    associated = client.associate("shop & co", "berlin").app
    assert (associated.key_id, associated.key_state) == (key.key_id, KeyState.ACTIVE)
    assert list(client.list_apps()) == [associated]
    plane.relays.attach(key, 5432, 22)
    status = client.app_status("shop & co")
    assert (status.app, status.tunnels, status.ports) == (associated, 1, (22, 5432))
    assert client.dissociate("shop & co").app == app
    client.delete_app("shop & co")
    assert list(client.list_apps()) == []


def test_what_is_live(client: Client, plane: ControlPlane) -> None:
    tunnel = plane.relays.attach(plane.generate("berlin"), 5432, streams=2)
    plane.relays.live = [dataclasses.replace(tunnel, rtt_ms=1.5)]
    assert client.tunnels() == tuple(plane.relays.live)
    assert client.streams() == tuple(plane.relays.streams(plane.subscription.subscription_id))
    client.cut_tunnel(tunnel.tunnel_id)
    assert client.tunnels() == ()


def test_audit_events(client: Client, plane: ControlPlane) -> None:
    plane.generate("berlin")
    plane.generate("paris")
    assert tuple(client.audit_events()) == plane.services.events.list(plane.owner, "0").items


def test_tokens(client: Client, plane: ControlPlane, api_url: str) -> None:
    new = client.create_token("reader", role=Role.MEMBER, expires_at=START + 60)
    assert new.token in client.list_tokens()
    with Client(api_url, new.secret.reveal()) as reader:
        assert reader.userinfo().role is Role.MEMBER
        with pytest.raises(AditusError) as raised:
            reader.generate_key("x", CAPABILITY)
        assert (raised.value.code, raised.value.reason) == (Code.FORBIDDEN, "read-only")
        client.revoke_token(new.token.token_id)
        with pytest.raises(AditusError) as raised:
            reader.userinfo()
        assert (raised.value.code, raised.value.reason) == (Code.UNAUTHENTICATED, "bad-token")
    assert new.secret.reveal() not in repr(new)


def test_a_region_is_needed_where_there_are_several(
    client: Client, plane: ControlPlane, api_url: str
) -> None:
    plane.generate("berlin")
    assert client.show_key("berlin").region == REGION
    plane.add_region("there", CAPABILITY)
    with Client(api_url, plane.token) as later:
        with pytest.raises(AditusError, match="local, there") as raised:
            later.show_key("berlin")
        assert (raised.value.code, raised.value.reason) == (Code.INVALID, "region-needed")
        assert later.show_key("berlin", region="local").region == "local"
        assert later.generate_key("berlin", CAPABILITY, region="there").key.region == "there"
        later.create_app("shop", CAPABILITY)
        with pytest.raises(AditusError) as raised:
            later.associate("shop", "berlin")
        assert raised.value.reason == "ambiguous-key"
        assert later.associate("shop", "berlin", region="there").app.region == "there"


def test_another_subscription_by_its_locator(plane: ControlPlane, api_url: str) -> None:
    with Client(api_url, plane.token, subscription="defaultloc") as client:
        assert client.subscription().subscription.name == "default"
    with pytest.raises(AditusError, match="A name or id"):
        Client(api_url, plane.token, subscription="../tokens")
    with Client(api_url, plane.token, subscription="no body") as client:
        with pytest.raises(AditusError) as raised:
            client.subscription()
        assert raised.value.code is Code.NOT_FOUND


def test_a_failure_arrives_as_the_server_meant_it(client: Client, plane: ControlPlane) -> None:
    plane.generate("berlin")
    with pytest.raises(AditusError) as here:
        plane.generate("berlin")
    with pytest.raises(AditusError) as there:
        client.generate_key("berlin", CAPABILITY)
    for name in ("code", "reason", "message", "remedy", "field"):
        assert getattr(there.value, name) == getattr(here.value, name) != ""
