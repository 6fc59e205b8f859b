"""The first start makes what the contract says, the second finds it, and nothing stored is a secret."""

from pathlib import Path

import psycopg
import pytest

from aditus.control.service import bootstrap, services
from aditus.control.service.bootstrap import Bootstrap, FirstStart
from aditus.crypto.passwords import needs_rehash, verify_password
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key, parse_token
from aditus.domain.model import Role
from aditus.store.database import Database, open_database
from aditus.store.schema import metadata
from demo.postgres import PostgresServer
from tests.control_plane import CAPABILITY, START, Clock, Relays

URL = "wss://localhost:8443"


def start(database: Database, region: str = "local", url: str = URL) -> tuple[Bootstrap, list[FirstStart]]:
    handed_over: list[FirstStart] = []
    return bootstrap.ensure(database, region, url, START, handed_over.append), handed_over


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as tx:
        return {
            name: sorted(tuple(row) for row in tx.execute(table.select()))
            for name, table in metadata.tables.items()
            if name != "audit_events"
        }


def test_a_first_start_makes_an_owner_who_can_work(database: Database) -> None:
    made, handed_over = start(database)
    assert made.first is not None
    assert handed_over == [made.first]
    assert (made.region, made.relay_url, made.first.owner) == ("local", URL, "owner@localhost")
    clock = Clock()
    control = services.build(database, Relays(clock), clock)
    owner = control.auth.caller(made.first.token.reveal())
    info = control.subscriptions.userinfo(owner)
    assert (info.name, info.organization, info.role) == ("owner@localhost", "default", Role.OWNER)
    (membership,) = info.subscriptions
    assert (membership.name, membership.role) == ("default", Role.OWNER)
    shown = control.subscriptions.show(owner, "0")
    assert shown == control.subscriptions.show(owner, membership.locator)
    assert (shown.subscription.capabilities, shown.subscription.regions) == ((CAPABILITY,), ("local",))
    assert [(quota.used, quota.limit) for quota in shown.access_keys] == [(0, 500)]
    key = control.keys.generate(owner, "0", "local", "berlin", CAPABILITY).key
    assert key.connect_url.startswith(f"{URL}/connect/")


def test_the_password_is_good_and_stored_as_a_hash(sqlite: Database) -> None:
    made, _ = start(sqlite)
    assert made.first is not None
    (user,) = rows(sqlite)["users"]
    stored = next(value for value in user if isinstance(value, str) and value.startswith("$argon2id$"))
    assert verify_password(made.first.password.reveal(), stored)
    assert not needs_rehash(stored)
    assert made.first.password.reveal() not in repr(made)


def test_a_second_start_changes_nothing(database: Database) -> None:
    start(database)
    before = rows(database)
    made, handed_over = start(database)
    assert (made.first, made.relay_url_changed, handed_over) == (None, False, [])
    assert rows(database) == before


def test_a_new_public_url_moves_the_connect_urls(database: Database) -> None:
    first, _ = start(database)
    assert first.first is not None
    clock = Clock()
    control = services.build(database, Relays(clock), clock)
    owner = control.auth.caller(first.first.token.reveal())
    key = control.keys.generate(owner, "0", "local", "berlin", CAPABILITY).key
    made, _ = start(database, url="https://Relay.Example.com/")
    assert (made.relay_url, made.relay_url_changed) == ("wss://relay.example.com", True)
    moved = control.keys.show(owner, "0", "local", "berlin").connect_url
    assert moved == key.connect_url.replace(URL, "wss://relay.example.com")


def test_another_region_is_refused_with_what_to_do(sqlite: Database) -> None:
    start(sqlite)
    before = rows(sqlite)
    with pytest.raises(AditusError) as raised:
        start(sqlite, region="other")
    assert (raised.value.code, raised.value.reason) == (Code.INVALID, "other-region")
    assert "--region local" in raised.value.remedy
    assert "\n" not in str(raised.value)
    assert rows(sqlite) == before


def test_what_could_not_be_handed_over_was_not_made(database: Database) -> None:
    """A full disk while owner.token is written must not leave an owner that nobody can be."""

    def fail(first: FirstStart) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        bootstrap.ensure(database, "local", URL, START, fail)
    assert not any(rows(database).values())
    made, _ = start(database)
    assert made.first is not None


# --- no secret is stored ---


def shown_once(database: Database) -> list[bytes]:
    """Starts, makes one of each kind of secret, and gives every form in which one could be stored."""
    made, _ = start(database)
    assert made.first is not None
    clock = Clock()
    control = services.build(database, Relays(clock), clock)
    owner = control.auth.caller(made.first.token.reveal())
    token = control.tokens.create(owner, "ci", idempotency_key="once")
    key = control.keys.generate(owner, "0", "local", "berlin", CAPABILITY, idempotency_key="once")
    control.keys.generate(owner, "0", "local", "paris", CAPABILITY)
    control.keys.revoke(owner, "0", "local", ["paris"])
    assert key.secret is not None
    forms = [made.first.password.reveal().encode()]
    for text, raw in (
        (made.first.token.reveal(), parse_token(made.first.token.reveal()).secret),
        (token.secret.reveal(), parse_token(token.secret.reveal()).secret),
        (key.secret.reveal(), parse_access_key(key.secret.reveal()).secret),
    ):
        forms += [text.encode(), text.split("_")[-2].encode(), raw, raw.hex().encode()]
    return forms


def scan(folder: Path, forms: list[bytes]) -> int:
    """How many bytes were looked through."""
    looked_at = 0
    for file in folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            looked_at += len(content)
            found = [form for form in forms if form in content]
            assert not found, f"{file.name} holds a secret"
    return looked_at


def test_no_secret_is_in_any_file_of_sqlite(tmp_path: Path) -> None:
    opened = open_database(f"sqlite:///{tmp_path}/aditus.db")
    forms = shown_once(opened)
    assert {file.name for file in tmp_path.iterdir()} >= {"aditus.db", "aditus.db-wal"}
    assert scan(tmp_path, forms) > 100_000
    opened.close()
    assert scan(tmp_path, forms) > 100_000
    assert b"berlin" in (tmp_path / "aditus.db").read_bytes()  # what should be there is found this way


def test_no_secret_is_in_any_file_of_postgresql(postgres: PostgresServer) -> None:
    url = postgres.create_database("secrets")
    opened = open_database(url)
    forms = shown_once(opened)
    opened.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        with pytest.raises(AssertionError, match="holds a secret"):  # what should be there is found this way
            scan(postgres.data, [b"berlin"])
    assert scan(postgres.data, forms) > 1_000_000
