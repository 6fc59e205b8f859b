"""What owners and the operator do alike: make subscriptions, and say what these may use where."""

from collections.abc import Sequence

from aditus.control import audit
from aditus.control.service.feed import Change
from aditus.crypto.keys import random_id
from aditus.domain import names
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.model import Caller, Subscription
from aditus.store import regions, subscriptions, tenants
from aditus.store.database import Transaction

MAX_CAPABILITIES = 100  # of a subscription in a region; a page of labels that people can still choose from
MAX_KEY_QUOTA = 100_000  # a relay holds all keys of its region in memory


def make_subscription(
    tx: Transaction,
    caller: Caller,
    name: str,
    region_names: Sequence[str],
    capabilities: Sequence[str],
    key_quota: int,
    now: float,
) -> Subscription:
    """A subscription of the caller's organisation, with these capabilities in each of these regions.

    Raises `AditusError`: invalid, not-found (a region), conflict `subscription-exists`.
    """
    name = names.subscription_name(name)
    opened = tuple(sorted({_known_region(tx, region) for region in region_names}))
    labels = tuple(sorted({names.capability_name(label) for label in capabilities}))
    _check_quota(key_quota)
    if len(labels) > MAX_CAPABILITIES:
        raise _too_many()
    made = Subscription(random_id(), caller.organization_id, random_id(), name, labels, opened)
    if not tenants.add_subscription(tx, made, now):
        raise AditusError(
            Code.CONFLICT,
            "subscription-exists",
            "The organisation has a subscription of this name.",
            remedy="Choose another name.",
            field="name",
        )
    for region in opened:
        tenants.open_region(tx, made.subscription_id, region, key_quota)
        for label in labels:
            tenants.add_capability(tx, made.subscription_id, region, label)
    audit.record(
        tx,
        caller,
        "subscription.add",
        made.subscription_id,
        name,
        now,
        subscription=made,
        details={
            "regions": " ".join(opened),
            "capabilities": " ".join(labels),
            "key_quota": key_quota,
        },
    )
    return made


def add_capability(
    change: Change,
    caller: Caller,
    subscription: Subscription,
    region: str,
    capability: str,
    key_quota: int,
    now: float,
) -> bool:
    """Let the subscription generate keys for a capability in a region. False: it may already.

    A region that the subscription did not have is opened to it, with this quota of keys, and its relays
    learn of its apps. Raises `AditusError`: invalid, not-found (the region), limit `capability-limit`.
    """
    tx = change.tx
    region, capability = _known_region(tx, region), names.capability_name(capability)
    if change.open_region(subscription.subscription_id, region):
        tenants.open_region(tx, subscription.subscription_id, region, key_quota)
    subscriptions.lock_quota(tx, subscription.subscription_id, region)  # so that the count below stays true
    known = subscriptions.capabilities_in(tx, subscription.subscription_id, region)
    if capability in known:
        return False
    if len(known) >= MAX_CAPABILITIES:
        raise _too_many()
    tenants.add_capability(tx, subscription.subscription_id, region, capability)
    audit.record(
        tx,
        caller,
        "capability.add",
        subscription.subscription_id,
        capability,
        now,
        subscription=subscription,
        region=region,
    )
    return True


def remove_capability(
    tx: Transaction, caller: Caller, subscription: Subscription, region: str, capability: str, now: float
) -> None:
    """Let no more keys be generated for a capability in a region; those that are there stay as they are.

    Raises `AditusError` not-found.
    """
    known = capability in subscription.capabilities  # what is none at all never reaches the database
    if not known or not tenants.remove_capability(tx, subscription.subscription_id, region, capability):
        raise AditusError(
            Code.NOT_FOUND,
            "not-found",
            "The subscription does not have this capability in this region.",
            remedy="`GET /v1/subscriptions/{locator}/regions` lists what it has.",
            field="capability",
        )
    audit.record(
        tx,
        caller,
        "capability.remove",
        subscription.subscription_id,
        capability,
        now,
        subscription=subscription,
        region=region,
    )


def set_key_quota(
    tx: Transaction, caller: Caller, subscription: Subscription, region: str, key_quota: int, now: float
) -> None:
    """Change how many unrevoked keys the subscription may have in one of its regions."""
    _check_quota(key_quota)
    if region not in subscription.regions:
        raise AditusError(
            Code.NOT_FOUND,
            "not-found",
            "The subscription does not have this region.",
            remedy="`aditus admin subscription list` shows the regions of each; "
            "`aditus admin capability add` gives it another.",
            field="region",
        )
    before = subscriptions.lock_quota(tx, subscription.subscription_id, region).limit
    tenants.set_key_quota(tx, subscription.subscription_id, region, key_quota)
    audit.record(
        tx,
        caller,
        "quota.set",
        subscription.subscription_id,
        subscription.name,
        now,
        subscription=subscription,
        region=region,
        details={"key_quota": key_quota, "before": before},
    )


def _known_region(tx: Transaction, region: str) -> str:
    if region not in {one.name for one in regions.every(tx)}:
        raise AditusError(
            Code.NOT_FOUND,
            "not-found",
            "There is no such region.",
            remedy="`GET /v1/regions`, or `aditus admin region list`, has those that there are.",
            field="region",
        )
    return region


def _check_quota(key_quota: int) -> None:
    if not 0 <= key_quota <= MAX_KEY_QUOTA:
        raise invalid(
            "bad-quota",
            f"A quota of access keys is a number from 0 to {MAX_KEY_QUOTA}.",
            remedy="Choose a smaller one, or give the organisation a second subscription.",
            field="quota",
        )


def _too_many() -> AditusError:
    return AditusError(
        Code.LIMIT,
        "capability-limit",
        f"A subscription has at most {MAX_CAPABILITIES} capabilities in a region.",
        remedy="Remove those that no new key needs.",
        field="capability",
    )
