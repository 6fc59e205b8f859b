"""How often somebody may ask."""

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.http.limits import REMEMBERED, Buckets, Limits, SlowDown, source_of
from tests.control_plane import Clock, ControlPlane


def test_a_source_that_fails_too_often_waits_and_others_do_not() -> None:
    clock = Clock()
    limits = Limits(failures=3, clock=clock)
    for _ in range(3):
        limits.admit("192.0.2.1", "Bearer wrong")
        limits.failed("192.0.2.1")
    with pytest.raises(SlowDown) as told:
        limits.admit("192.0.2.1", "Bearer wrong")
    assert told.value.retry_after == 2
    limits.admit("192.0.2.2", "Bearer wrong")
    clock.now += told.value.retry_after
    limits.admit("192.0.2.1", "Bearer wrong")


def test_a_stranger_does_not_lock_out_who_shares_the_address() -> None:
    limits = Limits(failures=1, clock=Clock())
    limits.authenticated("owner", "Bearer good")
    limits.failed("192.0.2.1")
    limits.admit("192.0.2.1", "Bearer good")
    with pytest.raises(SlowDown):
        limits.admit("192.0.2.1", "Bearer other")


def test_memory_is_bounded_however_many_ask() -> None:
    buckets = Buckets(5, 1)
    for number in range(REMEMBERED + 100):
        buckets.spend(str(number), 0.0)
    assert len(buckets) == REMEMBERED


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
    ],
)
def test_an_ipv6_network_is_one_source(address: str, source: str) -> None:
    assert source_of((address, 1)) == source
    assert source_of(None) == ""


def test_over_http_a_429_says_when_to_come_back(on_sqlite: ControlPlane) -> None:
    clock = Clock()
    limits = Limits(failures=2, requests=2, clock=clock)
    with TestClient(create_app(on_sqlite.services, limits=limits)) as client:
        wrong = [client.get("/v1/userinfo") for _ in range(3)]
        assert [answer.status_code for answer in wrong] == [401, 401, 429]
        assert wrong[2].headers["retry-after"] == "2"
        assert wrong[2].headers["content-type"] == "application/problem+json"
        assert wrong[2].json()["reason"] == "slow-down"
        clock.now += 60
        owner = {"Authorization": f"Bearer {on_sqlite.token}"}
        asked = [client.get("/v1/userinfo", headers=owner) for _ in range(3)]
        assert [answer.status_code for answer in asked] == [200, 200, 429]
        assert asked[2].headers["retry-after"] == "1"
        assert client.get("/healthz").status_code == 200
