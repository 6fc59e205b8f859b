"""Following what happens, through a real server."""

import threading

import pytest

from aditus.client.rest import Client
from aditus.control.service.hub import FOLLOWERS_PER_CALLER, MAX_WAITING, Hub
from aditus.domain.errors import AditusError
from aditus.domain.happenings import KeyEvent, QuotaEvent, TunnelChange, TunnelEvent
from aditus.domain.model import KeyState, Quota, Role
from tests.control_plane import CAPABILITY, REGION, ControlPlane


def test_keys_tunnels_and_quotas_are_told_as_they_are_now(api_url: str, plane: ControlPlane) -> None:
    with Client(api_url, plane.token) as client, client.events() as events:
        key = plane.generate("berlin")
        assert next(events) == KeyEvent(key)
        assert next(events) == QuotaEvent(Quota(REGION, 1, 500))
        plane.services.keys.suspend(plane.owner, "0", REGION, "berlin")
        told = next(events)
        assert isinstance(told, KeyEvent)
        assert told.key.state is KeyState.SUSPENDED
        tunnel = plane.relays.attach(key, 5432)
        plane.services.news.tunnel(TunnelChange.ATTACHED, tunnel)
        assert next(events) == TunnelEvent(TunnelChange.ATTACHED, tunnel)


def test_others_are_told_nothing(api_url: str, plane: ControlPlane) -> None:
    stranger = plane.stranger()
    hub_events = []
    follower = plane.services.news.follow(stranger, "0", lambda: hub_events.append(1))
    plane.generate("berlin")
    assert follower.take() == []
    assert hub_events == []
    plane.services.news.leave(follower)
    assert plane.services.news.followers() == 0


def test_who_follows_too_often_is_told_to_wait(api_url: str, plane: ControlPlane) -> None:
    followers = [
        plane.services.news.follow(plane.owner, "0", lambda: None) for _ in range(FOLLOWERS_PER_CALLER)
    ]
    with Client(api_url, plane.token) as client:
        following = client.events()
        with pytest.raises(AditusError, match="A caller has"):
            following.__enter__()
    for follower in followers:
        plane.services.news.leave(follower)


def test_a_server_that_stops_ends_the_stream(api_url: str, plane: ControlPlane) -> None:
    with Client(api_url, plane.token) as client, client.events() as events:
        plane.services.news.close()
        with pytest.raises(AditusError) as told:
            next(events)
        assert told.value.reason == "events-lost"


def test_one_that_lags_is_let_go_and_holds_a_bounded_queue(plane: ControlPlane) -> None:
    key = plane.generate("berlin")
    hub = Hub()
    woken = threading.Event()
    slow = hub.follow(key.subscription_id, "c", woken.set)
    for _ in range(MAX_WAITING):
        hub.publish(key.subscription_id, KeyEvent(key))
    assert len(slow.take()) == MAX_WAITING
    for _ in range(MAX_WAITING + 1):
        hub.publish(key.subscription_id, KeyEvent(key))
    assert slow.lagged
    assert slow.take() == []
    assert woken.is_set()
    hub.leave(slow)
    hub.leave(slow)
    assert len(hub) == 0


def test_a_member_may_follow(api_url: str, plane: ControlPlane) -> None:
    new = plane.services.tokens.create(plane.owner, "reader", role=Role.MEMBER)
    with Client(api_url, new.secret.reveal()) as client, client.events() as events:
        plane.services.keys.generate(plane.owner, "0", REGION, "berlin", CAPABILITY)
        assert isinstance(next(events), KeyEvent)
