"""What happens to keys, tunnels and quotas, for those who follow a subscription; and its figures."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aditus.control.service.context import permitted
from aditus.control.service.hub import Follower, Hub
from aditus.domain.errors import AditusError
from aditus.domain.happenings import KeyEvent, QuotaEvent, TunnelChange, TunnelEvent
from aditus.domain.model import AccessKey, Caller, Quota
from aditus.domain.policy import WARNING_DAYS, Operation
from aditus.domain.relays import KeyChanges, TunnelView
from aditus.store import keys, subscriptions
from aditus.store.database import Database

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of all subscriptions: quotas by (region, locator), and unrevoked keys that end within so many days."""

    quotas: dict[tuple[str, str], Quota]
    expiring: dict[int, int]


class News:
    """Tells followers after the fact. A failure to tell never undoes or delays what was done."""

    def __init__(self, database: Database, hub: Hub, now: Callable[[], float]) -> None:
        self._database = database
        self._hub = hub
        self._now = now
        self.counted: Callable[[str], None] = lambda state: None
        """Told the state of each key that was made or changed."""
        self._last_quotas: dict[tuple[str, str], Quota] = {}

    def follow(self, caller: Caller, locator: str, wake: Callable[[], None]) -> Follower:
        """Follow a subscription until `leave`; nothing that is committed after this returns is missed.

        `wake` is called from any thread when there is something to take. Raises limit `too-many-followers`.
        """
        with self._database.read() as tx:
            subscription = permitted(tx, caller, Operation.EVENTS_FOLLOW, locator)
        return self._hub.follow(subscription.subscription_id, caller.caller_id, wake)

    def check(self, caller: Caller, locator: str) -> None:
        """Whether the caller may follow still. Raises what the policy denies."""
        with self._database.read() as tx:
            permitted(tx, caller, Operation.EVENTS_FOLLOW, locator)

    def leave(self, follower: Follower) -> None:
        """Follow no more."""
        self._hub.leave(follower)

    def close(self) -> None:
        """End all followers: the server stops."""
        self._hub.close()

    def followers(self) -> int:
        """How many follow now."""
        return len(self._hub)

    # --- what happens ---

    def keys_changed(self, changes: KeyChanges) -> None:
        """A change of keys was committed and told to the relays."""
        for key in changes.keys:
            self.counted(key.state.value)
        followed = {key.subscription_id for key in changes.keys if self._hub.is_followed(key.subscription_id)}
        if not followed:
            return
        wanted = [key.key_id for key in changes.keys if key.subscription_id in followed]
        try:
            with self._database.read() as tx:
                found = keys.by_id(tx, wanted, self._now())
                quotas = {one: subscriptions.quotas(tx, one) for one in followed}
        except AditusError as error:  # what was done is done, so followers have to ask
            _log.warning("followers are not told of changed keys: %s", error)
            for subscription_id in followed:
                self._hub.lose(subscription_id)
            return
        self.keys([found[key_id] for key_id in wanted if key_id in found])
        for subscription_id, used in quotas.items():
            for quota in used:
                if quota.region == changes.region:
                    self._quota(subscription_id, quota)

    def keys(self, changed: Sequence[AccessKey]) -> None:
        """These keys are now so."""
        for key in changed:
            self._hub.publish(key.subscription_id, KeyEvent(key))

    def tunnel(self, change: TunnelChange, tunnel: TunnelView) -> None:
        """A tunnel came, went or serves other ports. Called on the relay's loop: never blocks."""
        self._hub.publish(tunnel.subscription_id, TunnelEvent(change, tunnel))

    def _quota(self, subscription_id: str, quota: Quota) -> None:
        place = (subscription_id, quota.region)
        if self._last_quotas.get(place) != quota:
            self._last_quotas[place] = quota
            self._hub.publish(subscription_id, QuotaEvent(quota))

    # --- figures ---

    def figures(self) -> Figures:
        """How full the quotas are, and how many keys will expire. Raises `database-unavailable`."""
        now = self._now()
        with self._database.read() as tx:
            return Figures(
                subscriptions.all_quotas(tx),
                {days: keys.count_expiring(tx, now, days * 86_400.0) for days in WARNING_DAYS},
            )
