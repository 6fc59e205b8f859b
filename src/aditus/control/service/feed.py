"""Changing keys and apps: the commit, then the relays of this process, then those of others.

One change at a time is committed, told and cut. Other processes may change keys and apps in the same
database: what they did meanwhile is told before, or together with, what is done here.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aditus.crypto.keys import random_id
from aditus.domain.errors import AditusError
from aditus.domain.model import Cut
from aditus.domain.ports import LiveRelays
from aditus.domain.relays import KeyChanges
from aditus.store import key_source, keys, regions, relay_apps, relays, subscriptions
from aditus.store.database import Database, Transaction

_log = logging.getLogger(__name__)

ACKNOWLEDGED_SECONDS = 1.0
"""How long a change waits for the relays of other processes. Those that are not done by then are named."""
ASKED_EVERY_SECONDS = 0.02


@dataclass(slots=True)
class _Locked:
    """A region whose keys and apps only this transaction changes."""

    epoch: int
    is_raised: bool = False
    told_keys: list[str] = field(default_factory=list)
    told_apps: list[str] = field(default_factory=list)


class Change:
    """One transaction that changes keys of a region or an app, and what relays are told after the commit.

    Keys belong to one region. An app may come to every region of its subscription, so that its changes
    are changes of all these.
    """

    def __init__(self, tx: Transaction, known: Mapping[str, int], now: float) -> None:
        self.tx = tx
        self.cuts: dict[str, Cut] = {}
        """By key_id, what the change cut here; filled when the block of `KeyFeed.change` has ended."""
        self.pending_relays: tuple[str, ...] = ()
        """The relays of other processes that may not know of the change yet; filled at the same time."""
        self._known = known
        self._now = now
        self._locked: dict[str, _Locked] = {}

    def lock(self, *names: str) -> None:
        """Let nobody else change keys and apps of these regions until the commit: what is read stays true.

        All that a transaction needs it locks at once, in one order for all, so that no two wait for each
        other; rows of keys and credentials come after, the row of an app before.
        """
        wanted = sorted(set(names) - self._locked.keys())
        if wanted and self._locked:
            raise RuntimeError("a change locks all its regions at once")
        for name in wanted:
            self._locked[name] = _Locked(regions.lock_epoch(self.tx, name))

    def raise_epoch(self, region: str) -> int:
        """The epoch of this change, one above the last. For a change that really changes something."""
        self.lock(region)
        locked = self._locked[region]
        if not locked.is_raised:
            locked.is_raised = True
            locked.epoch += 1
            regions.set_epoch(self.tx, region, locked.epoch)
        return locked.epoch

    def tell(self, region: str, key_ids: Sequence[str]) -> None:
        """Let the relays know these keys as they are now: changed ones, and dead ones just to be sure."""
        self.lock(region)
        self._locked[region].told_keys += key_ids

    def app_changed(self, app_id: str, subscription_id: str) -> None:
        """An app, whose row is locked, is not what it was: each region of its subscription has a new epoch.

        Of an app that never had a credential no relay knows, and none is told.
        """
        for region in self.tell_app(app_id, subscription_id):
            relay_apps.changed(self.tx, region, [app_id], self.raise_epoch(region))

    def tell_app(self, app_id: str, subscription_id: str) -> tuple[str, ...]:
        """Let the relays know an app, whose row is locked, as it is, just to be sure; in these regions."""
        if not relay_apps.is_known(self.tx, app_id):
            return ()
        places = subscriptions.lock_regions(self.tx, subscription_id)
        self.lock(*places)
        for region in places:
            self._locked[region].told_apps.append(app_id)
        return places

    def open_region(self, subscription_id: str, region: str) -> bool:
        """A subscription is about to get a region: its relays learn of the apps that may come now.

        False: it has the region already, and nothing is locked but the subscription.
        """
        if region in subscriptions.lock_regions(self.tx, subscription_id):
            return False
        self.lock(region)  # before the row that will refer to it, which would lock it weakly
        app_ids = relay_apps.of_subscription(self.tx, subscription_id)
        if app_ids:
            relay_apps.changed(self.tx, region, app_ids, self.raise_epoch(region))
            self._locked[region].told_apps += app_ids
        return True

    def changes(self) -> tuple[KeyChanges, ...]:
        """What to tell, read within the transaction; with it all that others have changed before."""
        return tuple(
            self._changes(region, locked)
            for region, locked in self._locked.items()
            if locked.told_keys or locked.told_apps
        )

    def _changes(self, region: str, locked: _Locked) -> KeyChanges:
        known = self._known.get(region)
        missed = KeyChanges(region, locked.epoch, ())
        if known is not None:
            missed = key_source.changes_since(self.tx, region, known, self._now)
        key_ids = dict.fromkeys(locked.told_keys)
        for key in missed.keys:
            key_ids.pop(key.key_id, None)
        app_ids = dict.fromkeys(locked.told_apps)
        for app in missed.apps:
            app_ids.pop(app.app_id, None)
        return KeyChanges(
            region,
            locked.epoch,
            (*keys.relay_keys(self.tx, list(key_ids)), *missed.keys),
            (*relay_apps.relay_apps(self.tx, list(app_ids), self._now), *missed.apps),
        )


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
    def change(self) -> Iterator[Change]:
        """A block in which keys or apps are changed.

        When it has ended, all is durable, told and cut here, and other relays know it or are pending.
        """
        with self._turn:
            with self._database.write() as tx:
                change = Change(tx, self._known, self._now())
                yield change
                told = change.changes()
                others = [(one.epoch, relays.others(tx, one.region, self.relay_id)) for one in told]
            committed_at = time.monotonic()
            for changes in told:
                cuts = self._relays.keys_changed(changes, committed_at)
                change.cuts.update({cut.key_id: cut for cut in cuts})
                if changes.region in self._known:
                    self._known[changes.region] = changes.epoch
                self.changed(changes)
        # Not within the turn: the others take theirs meanwhile, and wait for nobody who waits for them.
        change.pending_relays = self._pending(others, committed_at + ACKNOWLEDGED_SECONDS)

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
            since = known if known <= epoch else 0
            changes = key_source.changes_since(tx, region, since, self._now())
            self._relays.keys_changed(changes, time.monotonic())
            self._known[region] = epoch
            self.changed(changes)
        return epoch

    def _pending(self, others: Sequence[tuple[int, Mapping[str, str]]], until: float) -> tuple[str, ...]:
        """Wait until these relays have acknowledged their epochs; the names of those that have not yet."""
        names = {relay_id: name for _, named in others for relay_id, name in named.items()}
        behind = [(epoch, frozenset(named)) for epoch, named in others]
        while any(relay_ids for _, relay_ids in behind):
            try:
                with self._database.read() as tx:
                    behind = [
                        (epoch, relays.behind(tx, relay_ids, epoch))
                        for epoch, relay_ids in behind
                        if relay_ids
                    ]
            except AditusError as error:  # the change stands; only that others know it cannot be said
                _log.warning("whether other relays know of a change cannot be asked: %s", error)
                break
            if time.monotonic() >= until:
                break
            if any(relay_ids for _, relay_ids in behind):
                time.sleep(ASKED_EVERY_SECONDS)
        late = frozenset[str]().union(*(relay_ids for _, relay_ids in behind))
        return tuple(name for relay_id, name in names.items() if relay_id in late)
