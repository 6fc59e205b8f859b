"""`KeySource` over SQL: what the relays of a region learn of keys, and of apps that may come there."""

from collections.abc import Callable

from aditus.domain.relays import KeyChanges
from aditus.store import keys, regions, relay_apps
from aditus.store.database import Database, Transaction


class StoredKeySource:
    """`domain.ports.KeySource`. `now` gives Unix seconds; it decides which dead keys are remembered.

    A `RelayKey` is active, suspended or revoked here: that it has expired, its relay sees by itself.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def epoch(self, region: str) -> int:
        """As in the port; 0 for an unknown region."""
        with self._database.read() as tx:
            return regions.epoch(tx, region)

    def changes(self, region: str, since: int) -> KeyChanges:
        """As in the port, of one moment of the database."""
        with self._database.read() as tx:
            return changes_since(tx, region, since, self._now())


def changes_since(tx: Transaction, region: str, since: int, now: float) -> KeyChanges:
    """As in the port, at the moment that this transaction sees."""
    epoch = regions.epoch(tx, region)
    if since > 0:
        changed = keys.changed_since(tx, region, since)
        return KeyChanges(region, epoch, changed, relay_apps.changed_since(tx, region, since, now))
    known = keys.worth_knowing(tx, region, now)
    return KeyChanges(region, epoch, known, relay_apps.worth_knowing(tx, region, now))
