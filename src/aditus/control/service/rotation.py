"""Rotation: a second secret for the same key, and how long the first one lives on.

At most two secrets of a key are live. The new one is made now; the clock of the old one's grace starts when
the new one is first used, so that a rotation that nobody has rolled out cuts nobody off.
"""

from collections.abc import Sequence

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.context import Context, permitted, unfound
from aditus.control.service.refusals import refusal
from aditus.control.service.replay import claim
from aditus.crypto.keys import generate_pair
from aditus.domain import names
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import format_access_key
from aditus.domain.model import AccessKey, Caller, KeyState, NewAccessKey
from aditus.domain.policy import Denied, Operation
from aditus.domain.relays import KeyUse
from aditus.store import key_secrets, keys, subscriptions
from aditus.store.database import Transaction

DEFAULT_GRACE = 86_400.0  # seconds
LONGEST_GRACE = 90 * 86_400.0


class Rotation:
    """The use cases of rotation. `locator` `0` is the caller's own subscription."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def rotate(
        self,
        caller: Caller,
        locator: str,
        region: str,
        access_key_id: str,
        *,
        grace: float | None = None,
        at_once: bool = False,
        public_key: bytes | None = None,
        idempotency_key: str = "",
        key_id: str = "",
    ) -> NewAccessKey:
        """Make a second secret; key_id, Connect URL and associations stay.

        `grace` seconds (default a day, at most 90 days) after its first use the old secret ends, and what is
        attached by it is cut. `at_once` ends all others now, also during a rotation; without it, that is
        conflict `rotation-running`. Raises conflict `revoked`, `secret-known` and `idempotent-replay`.
        With `key_id` no namesake that was made since is meant.
        """
        now = self._context.now()
        grace = _grace(grace, at_once)
        inputs.public_key(public_key)
        pair = generate_pair()  # not used when the caller has made one
        new = public_key or pair.public
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.KEYS_ROTATE, locator, region)
            change.lock(region)
            key = keys.find(tx, subscription.subscription_id, region, names.access_key_id(access_key_id), now)
            if key is None:
                raise unfound("access key", "`aditus keys list` shows those that there are in this region.")
            if key.state is KeyState.REVOKED or (key_id and key.key_id != key_id):
                raise refusal(Denied("revoked"))
            claim(tx, caller, idempotency_key, "key_id", key.key_id, now)
            if key.rotation is not None and not at_once:
                raise _running(key)
            if not key_secrets.add(tx, key.key_id, new, grace, now, ends_at=now if at_once else None):
                raise _known()
            keys.change(tx, key.key_id, change.raise_epoch(region), {})
            change.tell(region, [key.key_id])
            audit.record(
                tx,
                caller,
                "key.rotate",
                key.key_id,
                key.access_key_id,
                now,
                subscription=subscription,
                region=region,
                details={"grace_seconds": int(grace), "at_once": at_once},
            )
            key = keys.by_id(tx, [key.key_id], now)[key.key_id]
        secret = None if public_key else format_access_key(region, key.key_id, pair.secret)
        return NewAccessKey(key, secret)

    def used(self, region: str, uses: Sequence[KeyUse]) -> None:
        """Note first uses of secrets: the grace of those that they replace begins."""
        with self._context.database.read() as tx:
            if not key_secrets.unused(tx, uses):
                return
        now = self._context.now()
        with self._context.feed.change() as change:
            change.lock(region)
            first = key_secrets.unused(change.tx, uses)
            for use in first:
                ends_at = key_secrets.first_use(change.tx, use.key_id, use.public_key, now)
                if ends_at is not None:
                    keys.change(change.tx, use.key_id, change.raise_epoch(region), {})
                    change.tell(region, [use.key_id])
                    _record_first_use(change.tx, use, ends_at, now)


def _record_first_use(tx: Transaction, use: KeyUse, ends_at: float, now: float) -> None:
    key = keys.by_id(tx, [use.key_id], now)[use.key_id]
    subscription = subscriptions.by_ids(tx, [key.subscription_id])[key.subscription_id]
    audit.record(
        tx,
        audit.system(subscription.organization_id),
        "key.rotation-used",
        key.key_id,
        key.access_key_id,
        now,
        subscription=subscription,
        region=key.region,
        details={"instance": use.instance, "source": use.source, "old_secret_ends_at": int(ends_at)},
    )


def _grace(grace: float | None, at_once: bool) -> float:
    if at_once and grace is not None:
        raise invalid(
            "needless-grace",
            "What ends at once has no grace.",
            remedy="Give a grace, or end the old secret at once, not both.",
            field="grace",
        )
    grace = 0.0 if at_once else DEFAULT_GRACE if grace is None else grace
    if not 0 <= grace <= LONGEST_GRACE:
        raise invalid(
            "bad-grace",
            f"The grace of an old secret is {LONGEST_GRACE / 86_400:.0f} days at most.",
            remedy="Give a shorter one: such as 24h to `aditus keys rotate`, or 86400 (seconds) to the API.",
            field="grace",
        )
    return grace


def _running(key: AccessKey) -> AditusError:
    waits = key.rotation is not None and key.rotation.ends_at is None
    return AditusError(
        Code.CONFLICT,
        "rotation-running",
        "The access key has two live secrets already"
        + (", and the newer one was not used yet." if waits else "; the old one has not ended yet."),
        remedy="Wait for its end, or end all others at once (--now), which cuts what is attached by them.",
    )


def _known() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "secret-known",
        "The access key has, or had, a secret with this public key already.",
        remedy="Make a new key pair: aditus keypair",
        field="public_key",
    )
