"""Who revokes and who notes the last use take the same rows in one order, so that neither waits in turn."""

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Table, select, text

from aditus.domain.model import AccessKey, AppCredential, KeyState, Region, Subscription
from aditus.domain.relays import CredentialUse, KeyUse
from aditus.store import app_credentials, keys, regions, subscriptions
from aditus.store.database import Database, Transaction, open_database
from aditus.store.schema import access_keys
from aditus.store.schema import app_credentials as credentials_table
from demo.postgres import PostgresServer

NOW = 1_800_000_000.0
LOW, HIGH = "Zlow", "ahigh"  # upper case goes first here; the order of words in a database is another


@pytest.fixture
def rows(postgres: PostgresServer) -> Iterator[Database]:
    """Two keys and two credentials, the one that is to be taken last being the first in the file."""
    database = open_database(postgres.create_database(f"order_{uuid.uuid4().hex}"))
    with database.write() as tx:
        subscriptions.add_organization(tx, "o", "o", NOW)
        regions.add(tx, Region("r", "wss://r.example"), NOW)
        subscriptions.add(tx, Subscription("s", "o", "l", "s", ("c",), ("r",)), 500, NOW)
        for one in (HIGH, LOW):
            key = AccessKey(one, one, "s", "r", "c", "", KeyState.ACTIVE, "", "", NOW, "me", None)
            keys.add(tx, key, f"connect{one}", bytes(32), 1)
            app_credentials.add(tx, AppCredential(one, "a", NOW, "me"), "s", one.encode().ljust(32))
    yield database
    database.close()


def revoke_keys(tx: Transaction) -> None:
    keys.revoke(tx, [HIGH, LOW], 2, NOW, "me")


def use_keys(tx: Transaction) -> None:
    keys.used(tx, [KeyUse(one, bytes(32), NOW, "192.0.2.1", "0" * 32, "1") for one in (HIGH, LOW)])


def revoke_credentials(tx: Transaction) -> None:
    app_credentials.revoke(tx, [HIGH, LOW], NOW, "me")


def use_credentials(tx: Transaction) -> None:
    app_credentials.used(tx, [CredentialUse(one, NOW, "192.0.2.1", "1") for one in (HIGH, LOW)])


@pytest.mark.parametrize(
    ("take", "table"),
    [
        (revoke_keys, access_keys),
        (use_keys, access_keys),
        (revoke_credentials, credentials_table),
        (use_credentials, credentials_table),
    ],
)
def test_the_high_row_is_free_while_somebody_waits_for_the_low_one(
    rows: Database, take: Callable[[Transaction], None], table: Table
) -> None:
    def work() -> None:
        with rows.write() as tx:
            take(tx)

    name = table.primary_key.columns[0]
    with ThreadPoolExecutor(1) as pool:
        with rows.write() as tx:
            tx.execute(select(name).where(name == LOW).with_for_update())
            waiting = pool.submit(work)
            until_somebody_waits(rows)
            tx.execute(select(name).where(name == HIGH).with_for_update(nowait=True))
        waiting.result()


def until_somebody_waits(database: Database) -> None:
    """For a lock of this database: no event of this process tells of it."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 30
    while True:
        with database.read() as tx:
            if tx.execute(query).scalar_one():
                return
        assert time.monotonic() < until, "nobody waits"
        time.sleep(0.01)
