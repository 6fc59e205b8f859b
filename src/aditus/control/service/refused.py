"""Who was refused at a relay: known keys in the audit, strangers as counts."""

import threading
from collections.abc import Sequence

from aditus.control import audit
from aditus.control.service.context import Context, permitted
from aditus.domain.model import Caller
from aditus.domain.policy import Operation
from aditus.domain.relays import KeyRefusal, StrangerRefusal
from aditus.store import keys, refusals, subscriptions

TOLD_EVERY = 600.0
"""Seconds between two entries of one key, reason and source; refusals in between are counted into the next.

An agent whose key is suspended asks every 30 s: that makes 144 entries a day and not 2,880.
"""
MAX_TOLD = 10_000
"""Keys, reasons and sources remembered; beyond, entries come sooner, and none is lost."""
MAX_COUNTS_A_MINUTE = 1_000
"""Rows of strangers per region and minute; beyond, they are counted without their source."""
KEPT_DAYS = 30
SHOWN = 500


class Refused:
    """Keeps what relays report of refusals, and shows the counts of strangers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = threading.Lock()
        self._told: dict[tuple[str, str, str], float] = {}  # when there was an entry; oldest first
        self._untold: dict[tuple[str, str, str], int] = {}
        self._forgot = 0

    def keep(self, region: str, known: Sequence[KeyRefusal], strangers: Sequence[StrangerRefusal]) -> None:
        """Keep a report's refusals. Raises `AditusError` `database-unavailable`; then nothing is kept."""
        with self._turn:
            if known:
                self._keep_known(region, known)
            if strangers:
                self._count(region, strangers)

    def strangers(self, caller: Caller, locator: str) -> tuple[StrangerRefusal, ...]:
        """The newest 500 counts at the relays of the subscription's regions, of at most 30 days."""
        now = self._context.now()
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.STRANGERS_LIST, locator)
            since = int(now) // 60 - KEPT_DAYS * 1440
            return refusals.newest(tx, subscription.regions, since_minute=since, limit=SHOWN)

    def _keep_known(self, region: str, known: Sequence[KeyRefusal]) -> None:
        now = self._context.now()
        due: dict[tuple[str, str, str], int] = {}
        waiting = dict(self._untold)
        for one in known:
            what = (one.key_id, one.reason, one.source)
            waiting[what] = waiting.get(what, 0) + one.refusals
            if now - self._told.get(what, -TOLD_EVERY) >= TOLD_EVERY:
                due[what] = waiting.pop(what)
        if due:
            with self._context.database.write() as tx:
                found = keys.by_id(tx, sorted({key_id for key_id, _, _ in due}), now)
                owners = subscriptions.by_ids(tx, {key.subscription_id for key in found.values()})
                for (key_id, reason, source), count in due.items():
                    key = found.get(key_id)
                    if key is None:
                        continue  # not of this database: then nobody's
                    subscription = owners[key.subscription_id]
                    audit.record(
                        tx,
                        audit.relay(subscription.organization_id, region),
                        "key.refused",
                        key_id,
                        key.access_key_id,
                        now,
                        subscription=subscription,
                        region=region,
                        details={"reason": reason, "source": source, "refusals": count},
                    )
        for what in due:
            self._told.pop(what, None)
            self._told[what] = now
        while len(self._told) > MAX_TOLD:
            what = next(iter(self._told))
            del self._told[what]
            waiting.pop(what, None)
        self._untold = waiting

    def _count(self, region: str, strangers: Sequence[StrangerRefusal]) -> None:
        minute = int(self._context.now()) // 60
        with self._context.database.write() as tx:
            counted: dict[tuple[int, str, str], int] = {}
            room: dict[int, int] = {}
            for one in strangers:
                if one.minute not in room:
                    room[one.minute] = MAX_COUNTS_A_MINUTE - refusals.sources_in(tx, region, one.minute)
                what = (one.minute, one.source, one.reason)
                if what not in counted:
                    if room[one.minute] <= 0:
                        what = (one.minute, "", one.reason)
                    room[one.minute] -= 1
                counted[what] = counted.get(what, 0) + one.refusals
            refusals.count(
                tx, region, [StrangerRefusal(*what, refusals=number) for what, number in counted.items()]
            )
            if minute != self._forgot:
                refusals.forget(tx, minute - KEPT_DAYS * 1440)
        self._forgot = minute
