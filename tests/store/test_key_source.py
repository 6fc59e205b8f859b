"""What a relay learns of keys: everything at its start, then what changed, and never less than the truth."""

from collections.abc import Sequence

import pytest

from aditus.domain.model import AccessKey, KeyState, Region, Subscription
from aditus.domain.ports import KeySource
from aditus.domain.relays import RelaySecret
from aditus.store import keys, regions, subscriptions
from aditus.store.database import Database
from aditus.store.key_source import StoredKeySource
from aditus.store.keys import REMEMBERED_SECONDS

NOW = 1_800_000_000.0


class Book:
    """Keys of one subscription in two regions, changed as the services do it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.source: KeySource = StoredKeySource(database, lambda: self.now)
        with database.write() as tx:
            subscriptions.add_organization(tx, "o", "o", NOW)
            for name in ("here", "there"):
                regions.add(tx, Region(name, f"wss://{name}.example"), NOW)
            subscriptions.add(tx, Subscription("s", "o", "l", "s", ("c",), ("here", "there")), 500, NOW)

    def add(self, key_id: str, region: str = "here", expires_at: float | None = None) -> None:
        key = AccessKey(
            key_id, f"name of {key_id}", "s", region, "c", "", KeyState.ACTIVE, "", "", NOW, "me", expires_at
        )
        with self.database.write() as tx:
            epoch = regions.lock_epoch(tx, region) + 1
            regions.set_epoch(tx, region, epoch)
            keys.add(tx, key, f"connect{key_id}", key_id.encode().ljust(32), epoch)

    def revoke(self, *key_ids: str) -> None:
        with self.database.write() as tx:
            epoch = regions.lock_epoch(tx, "here") + 1
            regions.set_epoch(tx, "here", epoch)
            keys.revoke(tx, key_ids, epoch, self.now, "me")

    def suspend(self, key_id: str) -> None:
        with self.database.write() as tx:
            epoch = regions.lock_epoch(tx, "here") + 1
            regions.set_epoch(tx, "here", epoch)
            keys.change(tx, key_id, epoch, {"state": "suspended"})


@pytest.fixture
def book(database: Database) -> Book:
    return Book(database)


def ids(found: Sequence[object]) -> list[str]:
    return [str(getattr(key, "key_id", key)) for key in found]


def test_an_unknown_region_has_no_keys(book: Book) -> None:
    assert book.source.epoch("nowhere") == 0
    assert book.source.changes("nowhere", 0).keys == ()


def test_a_new_key_is_told_whole(book: Book) -> None:
    book.add("k1", expires_at=NOW + 5)
    changes = book.source.changes("here", 0)
    (key,) = changes.keys
    assert (changes.region, changes.epoch, book.source.epoch("here")) == ("here", 1, 1)
    assert (key.key_id, key.access_key_id, key.subscription_id) == ("k1", "name of k1", "s")
    assert (key.region, key.state, key.connect_id) == ("here", KeyState.ACTIVE, "connectk1")
    assert (key.secrets, key.expires_at) == ((RelaySecret(b"k1".ljust(32)),), NOW + 5)


def test_only_what_changed_since_is_told_again(book: Book) -> None:
    for key_id in ("k1", "k2", "k3"):
        book.add(key_id)
    book.suspend("k1")
    assert ids(book.source.changes("here", 2).keys) == ["k3", "k1"]
    (key,) = book.source.changes("here", 3).keys
    assert (key.key_id, key.state) == ("k1", KeyState.SUSPENDED)
    assert book.source.changes("here", 4).keys == ()


def test_regions_count_for_themselves(book: Book) -> None:
    book.add("k1", "here")
    book.add("k2", "there")
    book.add("k3", "there")
    assert (book.source.epoch("here"), book.source.epoch("there")) == (1, 2)
    assert ids(book.source.changes("here", 0).keys) == ["k1"]
    assert ids(book.source.changes("there", 1).keys) == ["k3"]


def test_a_revoked_key_is_told_with_its_public_key_and_without_its_url(book: Book) -> None:
    book.add("k1")
    book.revoke("k1")
    for since in (0, 1):
        (key,) = book.source.changes("here", since).keys
        assert (key.state, key.connect_id, key.secrets) == (
            KeyState.REVOKED,
            "",
            (RelaySecret(b"k1".ljust(32)),),
        )


def test_the_dead_are_remembered_for_a_month_and_no_relay_misses_a_death(book: Book) -> None:
    book.add("k1")
    book.add("k2")
    book.revoke("k1")
    book.now += REMEMBERED_SECONDS - 1
    assert ids(book.source.changes("here", 0).keys) == ["k2", "k1"]
    book.now += 1
    assert ids(book.source.changes("here", 0).keys) == ["k2"]
    assert ids(book.source.changes("here", 2).keys) == ["k1"]  # a relay that slept since knows it alive


def test_of_very_many_dead_the_newest_are_remembered(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keys.REMEMBERED_KEYS == 10_000
    monkeypatch.setattr(keys, "REMEMBERED_KEYS", 3)
    book.add("alive")
    for number in range(5):
        book.add(f"dead{number}")
    for number in (4, 2, 0, 1, 3):
        book.now += 1
        book.revoke(f"dead{number}")
    assert ids(book.source.changes("here", 0).keys) == ["alive", "dead0", "dead1", "dead3"]
    assert len(book.source.changes("here", 1).keys) == 5
