"""`KeySource` over SQL: what the relays of a region learn of its keys."""

from collections.abc import Callable

from aditus.domain.model import KeyChanges
from aditus.store.database import Database


class StoredKeySource:
    """`domain.ports.KeySource`. `now` gives Unix seconds; it decides which dead keys are remembered."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def epoch(self, region: str) -> int:
        """As in the port; 0 for an unknown region."""
        raise NotImplementedError

    def changes(self, region: str, since: int) -> KeyChanges:
        """As in the port, of one moment of the database."""
        raise NotImplementedError
