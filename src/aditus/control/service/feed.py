"""Changing keys: the commit, then the relays, one change at a time."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aditus.domain.model import Cut, KeyChanges
from aditus.domain.ports import LiveRelays
from aditus.store import keys, regions
from aditus.store.database import Database, Transaction


class KeyChange:
    """One transaction that changes keys of a region, and what the relays are told of it after the commit."""

    def __init__(self, tx: Transaction, region: str) -> None:
        self.tx = tx
        self.cuts: dict[str, Cut] = {}
        """By key_id, what the change cut; filled when the block of `KeyFeed.change` has ended."""
        self._region = region
        self._epoch: int | None = None
        self._raised = False
        self._told: list[str] = []

    def lock(self) -> None:
        """Let nobody else change keys of this region until the commit: what is read now stays true."""
        if self._epoch is None:
            self._epoch = regions.lock_epoch(self.tx, self._region)

    def raise_epoch(self) -> int:
        """The epoch of this change, one above the last. For a change that really changes something."""
        self.lock()
        if self._epoch is None:
            raise RuntimeError("the epoch is locked by now")
        if not self._raised:
            self._raised = True
            self._epoch += 1
            regions.set_epoch(self.tx, self._region, self._epoch)
        return self._epoch

    def tell(self, key_ids: Sequence[str]) -> None:
        """Let the relays know these keys as they are now: changed ones, and dead ones just to be sure."""
        self.lock()
        self._told += key_ids

    def changes(self) -> KeyChanges:
        """What to tell, read within the transaction."""
        return KeyChanges(self._region, self._epoch or 0, keys.relay_keys(self.tx, self._told))


class KeyFeed:
    """Tells the relays of this process each change in the order of the commits.

    Were two changes of a key committed in one order and told in the other, a relay would let a revoked
    key live on. So a change waits for its turn, which includes the cuts of the one before it.
    """

    def __init__(self, database: Database, relays: LiveRelays) -> None:
        self._database = database
        self._relays = relays
        self._turn = threading.Lock()

    @contextmanager
    def change(self, region: str) -> Iterator[KeyChange]:
        """A block in which keys of `region` are changed. When it has ended, all is durable, told and cut."""
        with self._turn:
            with self._database.write() as tx:
                change = KeyChange(tx, region)
                yield change
                changes = change.changes()
            committed_at = time.monotonic()
            if changes.keys:
                cuts = self._relays.keys_changed(changes, committed_at)
                change.cuts.update({cut.key_id: cut for cut in cuts})
