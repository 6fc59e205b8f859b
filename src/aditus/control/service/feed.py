"""Changing keys: the commit, then the relays of this process, then those of others.

One change at a time is committed, told and cut. Other processes may change keys of the same region in the
same database: what they did meanwhile is told before, or together with, what is done here.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from aditus.crypto.keys import random_id
from aditus.domain.errors import AditusError
from aditus.domain.model import Cut
from aditus.domain.ports import LiveRelays
from aditus.domain.relays import KeyChanges
from aditus.store import keys, regions, relays
from aditus.store.database import Database, Transaction

_log = logging.getLogger(__name__)

ACKNOWLEDGED_SECONDS = 1.0
"""How long a change waits for the relays of other processes. Those that are not done by then are named."""
ASKED_EVERY_SECONDS = 0.02


class KeyChange:
    """One transaction that changes keys of a region, and what the relays are told of it after the commit."""

    def __init__(self, tx: Transaction, region: str, known: int | None) -> None:
        self.tx = tx
        self.cuts: dict[str, Cut] = {}
        """By key_id, what the change cut here; filled when the block of `KeyFeed.change` has ended."""
        self.pending_relays: tuple[str, ...] = ()
        """The relays of other processes that may not know of the change yet; filled at the same time."""
        self._region = region
        self._known = known
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
        """What to tell, read within the transaction; with it all that others have changed before."""
        if not self._told:
            return KeyChanges(self._region, self._epoch or 0, ())
        missed = keys.changed_since(self.tx, self._region, self._known) if self._known is not None else ()
        rest = set(self._told) - {key.key_id for key in missed}
        told = keys.relay_keys(self.tx, [key_id for key_id in dict.fromkeys(self._told) if key_id in rest])
        return KeyChanges(self._region, self._epoch or 0, (*told, *missed))


class KeyFeed:
    """Tells the relays of this process each change in the order of the commits.

    Were two changes of a key committed in one order and told in the other, a relay would let a revoked
    key live on. So a change waits for its turn, which includes the cuts of the one before it; and so does
    what others have changed.
    """

    def __init__(self, database: Database, live: LiveRelays, now: Callable[[], float]) -> None:
        self.relay_id = random_id()
        """Whom the table of relays has this process as, once it is registered."""
        self._database = database
        self._relays = live
        self._now = now
        self.changed: Callable[[KeyChanges], None] = lambda changes: None
        """Told of each change after the relays, in the order of the commits."""
        self._turn = threading.Lock()
        self._known: dict[str, int] = {}  # up to which epoch the relays know the regions that are followed

    @contextmanager
    def change(self, region: str) -> Iterator[KeyChange]:
        """A block in which keys of `region` are changed.

        When it has ended, all is durable, told and cut here, and other relays know it or are pending.
        """
        others: Mapping[str, str] = {}
        with self._turn:
            with self._database.write() as tx:
                change = KeyChange(tx, region, self._known.get(region))
                yield change
                changes = change.changes()
                if changes.keys:
                    others = relays.others(tx, region, self.relay_id)
            committed_at = time.monotonic()
            if changes.keys:
                cuts = self._relays.keys_changed(changes, committed_at)
                change.cuts.update({cut.key_id: cut for cut in cuts})
                if region in self._known:
                    self._known[region] = changes.epoch
                self.changed(changes)
        # Not within the turn: the others take theirs meanwhile, and wait for nobody who waits for them.
        change.pending_relays = self._pending(changes.epoch, others, committed_at + ACKNOWLEDGED_SECONDS)

    def catch_up(self, region: str) -> int:
        """Tell the relays of this process all that they do not know yet; returns the epoch they know.

        From the first call on the region is followed. Raises `AditusError` `database-unavailable`.
        """
        with self._database.read() as tx:
            epoch = regions.epoch(tx, region)
        if epoch == self._known.get(region):
            return epoch
        with self._turn, self._database.read() as tx:
            epoch, known = regions.epoch(tx, region), self._known.get(region, 0)
            if epoch < known:
                _log.error(
                    "the database is older than what was read from it before: start this server again,"
                    " so that it forgets the keys that are no longer there"
                )
            changed = (
                keys.changed_since(tx, region, known)
                if 0 < known <= epoch
                else keys.worth_knowing(tx, region, self._now())
            )
            changes = KeyChanges(region, epoch, changed)
            self._relays.keys_changed(changes, time.monotonic())
            self._known[region] = epoch
            self.changed(changes)
        return epoch

    def _pending(self, epoch: int, others: Mapping[str, str], until: float) -> tuple[str, ...]:
        """Wait until these relays have acknowledged the epoch; the names of those that have not in time."""
        behind = frozenset(others)
        while behind:
            try:
                with self._database.read() as tx:
                    behind = relays.behind(tx, behind, epoch)
            except AditusError as error:  # the change stands; only that others know it cannot be said
                _log.warning("whether other relays know of a change cannot be asked: %s", error)
                break
            if time.monotonic() >= until:
                break
            if behind:
                time.sleep(ASKED_EVERY_SECONDS)
        return tuple(name for relay_id, name in others.items() if relay_id in behind)
