"""What a relay learns of apps and their credentials, and how much of what is dead."""

from sqlalchemy import insert

from aditus.domain.model import Region, Subscription
from aditus.store import app_credentials, regions, relay_apps, subscriptions
from aditus.store.app_credentials import REMEMBERED
from aditus.store.database import Database
from aditus.store.keys import REMEMBERED_SECONDS
from aditus.store.relay_apps import REMEMBERED_CREDENTIALS
from aditus.store.schema import app_credentials as table

NOW = 1_800_000_000.0


def started(database: Database) -> None:
    with database.write() as tx:
        subscriptions.add_organization(tx, "o", "o", NOW)
        regions.add(tx, Region("here", "wss://here.example"), NOW)
        subscriptions.add(tx, Subscription("s", "o", "l", "s", ("c",), ("here",)), 500, NOW)


def credentials(database: Database, *rows: tuple[str, str, float | None]) -> None:
    """Rows of (credential_id, app_id, revoked_at): of apps that are deleted, which is no matter here."""
    with database.write() as tx:
        tx.execute(
            insert(table),
            [
                {
                    "credential_id": credential_id,
                    "app_id": app_id,
                    "subscription_id": "s",
                    "public_key": credential_id.encode().ljust(32),
                    "created_at": NOW,
                    "created_by": "me",
                    "revoked_at": revoked_at,
                    "revoked_by": "" if revoked_at is None else "me",
                }
                for credential_id, app_id, revoked_at in rows
            ],
        )


def told(database: Database, now: float = NOW) -> dict[str, set[str]]:
    with database.read() as tx:
        found = relay_apps.worth_knowing(tx, "here", now)
    return {app.app_id: {one.credential_id for one in app.credentials} for app in found}


def test_a_dead_credential_is_remembered_for_30_days(database: Database) -> None:
    started(database)
    credentials(database, ("dead", "a", NOW), ("alive", "b", None), ("old", "b", NOW - 1))
    assert told(database) == {"a": {"dead"}, "b": {"alive", "old"}}
    assert told(database, NOW + REMEMBERED_SECONDS - 0.5) == {"a": {"dead"}, "b": {"alive"}}
    assert told(database, NOW + REMEMBERED_SECONDS) == {"b": {"alive"}}
    with database.read() as tx:  # a relay that knew it is told that there is nothing to remember
        (app,) = relay_apps.relay_apps(tx, ["a"], NOW + REMEMBERED_SECONDS)
    assert (app.app_id, app.credentials) == ("a", ())


def test_of_one_app_the_100_that_were_revoked_last_are_remembered(database: Database) -> None:
    started(database)
    dead = [(f"dead{number:03}", "a", NOW - number) for number in range(REMEMBERED + 5)]
    credentials(database, *dead, ("alive", "a", None))
    newest = {credential_id for credential_id, _, _ in dead[:REMEMBERED]}
    assert REMEMBERED == 100
    assert told(database) == {"a": {"alive", *newest}}
    with database.read() as tx:
        (app,) = relay_apps.relay_apps(tx, ["a"], NOW)
        listed = app_credentials.of_app(tx, "a")
    assert {one.credential_id for one in app.credentials} == {"alive", *newest}
    assert {one.credential_id for one in listed} == {"alive", *newest}


def test_of_a_region_the_10_000_that_were_revoked_last_are_remembered(database: Database) -> None:
    started(database)
    apps, each = REMEMBERED_CREDENTIALS // REMEMBERED + 1, REMEMBERED
    assert REMEMBERED_CREDENTIALS == 10_000
    credentials(
        database,
        *((f"{app}-{number}", f"app {app}", NOW - app) for app in range(apps) for number in range(each)),
        ("alive", f"app {apps - 1}", None),
    )
    found = told(database)
    assert found.pop(f"app {apps - 1}") == {"alive"}  # bounds are for the dead
    assert sum(map(len, found.values())) == REMEMBERED_CREDENTIALS
