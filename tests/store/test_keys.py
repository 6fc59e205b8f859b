"""Keys in SQL: which one a name means, and pages that neither skip nor repeat."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aditus.domain.model import AccessKey, KeyState, Region, Subscription
from aditus.store import keys, regions, subscriptions
from aditus.store.database import Database, Transaction

NOW = 1_800_000_000.0


@pytest.fixture
def place(database: Database) -> Database:
    with database.write() as tx:
        subscriptions.add_organization(tx, "o", "o", NOW)
        regions.add(tx, Region("r", "wss://r.example:8443"), NOW)
        regions.add(tx, Region("q", "wss://q.example"), NOW)
        subscriptions.add(tx, Subscription("s", "o", "l", "s", ("c",), ("q", "r")), 500, NOW)
    return database


def add(
    tx: Transaction,
    key_id: str,
    name: str,
    *,
    region: str = "r",
    at: float = NOW,
    expires_at: float | None = None,
) -> None:
    key = AccessKey(key_id, name, "s", region, "c", "", KeyState.ACTIVE, "", "", at, "me", expires_at)
    keys.add(tx, key, f"connect{key_id}", bytes(32), 1)


def found(tx: Transaction, name: str) -> str:
    key = keys.find(tx, "s", "r", name, NOW)
    return key.key_id if key else ""


def test_a_name_means_the_unrevoked_key_else_the_one_revoked_last(place: Database) -> None:
    with place.write() as tx:
        for number in (1, 2, 3):
            add(tx, f"k{number}", "name", at=NOW + number)
            assert found(tx, "name") == f"k{number}"
            if number < 3:
                keys.revoke(tx, [f"k{number}"], 2, NOW + 10 + number, "me")
                assert found(tx, "name") == f"k{number}"
        keys.revoke(tx, ["k3"], 2, NOW + 20, "me")
        assert found(tx, "name") == "k3"
        assert found(tx, "other") == ""


def test_the_connect_url_lives_as_long_as_the_key(place: Database) -> None:
    with place.write() as tx:
        add(tx, "k1", "name")
        key = keys.by_id(tx, ["k1"], NOW)["k1"]
        assert key.connect_url == "wss://r.example:8443/connect/connectk1"
        keys.revoke(tx, ["k1"], 2, NOW + 1, "you")
        key = keys.by_id(tx, ["k1"], NOW)["k1"]
        assert (key.connect_url, key.relay_url) == ("", "wss://r.example:8443")
        assert (key.state, key.revoked_at, key.revoked_by) == (KeyState.REVOKED, NOW + 1, "you")


def test_a_key_is_revoked_once(place: Database) -> None:
    with place.write() as tx:
        add(tx, "k1", "name")
        keys.revoke(tx, ["k1"], 2, NOW + 1, "first")
        keys.revoke(tx, ["k1"], 3, NOW + 2, "second")
        key = keys.by_id(tx, ["k1"], NOW)["k1"]
        assert (key.revoked_at, key.revoked_by) == (NOW + 1, "first")


def test_a_key_expires_by_the_clock_alone(place: Database) -> None:
    with place.write() as tx:
        add(tx, "k1", "name", expires_at=NOW + 10)
        states = [keys.by_id(tx, ["k1"], NOW + later)["k1"].state for later in (0, 9.999, 10, 1e6)]
        assert states == [KeyState.ACTIVE, KeyState.ACTIVE, KeyState.EXPIRED, KeyState.EXPIRED]
        keys.change(tx, "k1", 2, {"state": "suspended"})
        states = [keys.by_id(tx, ["k1"], NOW + later)["k1"].state for later in (0, 10)]
        assert states == [KeyState.SUSPENDED, KeyState.EXPIRED]
        keys.revoke(tx, ["k1"], 3, NOW, "me")
        assert keys.by_id(tx, ["k1"], NOW + 10)["k1"].state is KeyState.REVOKED


def test_each_region_has_names_of_its_own(place: Database) -> None:
    with place.write() as tx:
        add(tx, "k1", "name", region="r")
        add(tx, "k2", "name", region="q")
        assert [key.key_id for key in keys.find_in_any_region(tx, "s", "name", NOW)] == ["k2", "k1"]
        assert found(tx, "name") == "k1"


@given(
    times=st.lists(st.sampled_from([NOW, NOW + 0.1, NOW + 1 / 3, NOW + 7]), min_size=1, max_size=12),
    limit=st.integers(1, 5),
    wanted=st.sampled_from([None, KeyState.ACTIVE, KeyState.EXPIRED, KeyState.REVOKED]),
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_neither_skip_nor_repeat(
    place: Database, times: list[float], limit: int, wanted: KeyState | None
) -> None:
    with place.write() as tx:
        undo = tx.begin_nested()
        for number, at in enumerate(times):
            add(tx, f"k{number:02}", f"n{number}", at=at, expires_at=NOW + 1 if number % 3 == 1 else None)
            if number % 3 == 2:
                keys.revoke(tx, [f"k{number:02}"], 2, NOW, "me")
        states = (KeyState.ACTIVE, KeyState.EXPIRED, KeyState.REVOKED)
        expected = sorted(
            (at, f"k{number:02}")
            for number, at in enumerate(times)
            if wanted is None or states[number % 3] is wanted
        )
        seen: list[tuple[float, str]] = []
        while True:
            after = seen[-1] if seen else None
            page = keys.page(tx, "s", "r", NOW + 5, state=wanted, after=after, limit=limit)
            seen += [(key.created_at, key.key_id) for key in page]
            if len(page) < limit:
                break
        assert seen == expected
        undo.rollback()
