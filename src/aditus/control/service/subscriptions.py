"""Who the caller is, and what the subscriptions have; owners add to that, within the operator's regions."""

from collections.abc import Sequence

from aditus.control.service.context import Context, organization_permitted, permitted
from aditus.control.service.tenants import add_capability, make_subscription, remove_capability
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import (
    DEFAULT_KEY_QUOTA,
    Caller,
    Membership,
    Region,
    Role,
    Subscription,
    SubscriptionInfo,
    UserInfo,
)
from aditus.domain.policy import Operation, allowed
from aditus.domain.tenants import SubscriptionRegion
from aditus.store import members, regions, subscriptions, tenants

MAX_SUBSCRIPTIONS = 100  # that owners make; each may have so many keys that relays hold in memory


class Subscriptions:
    """The use cases of subscriptions. `locator` `0` is the caller's own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def userinfo(self, caller: Caller) -> UserInfo:
        """The caller, the organisation, and the subscriptions that the caller may see."""
        with self._context.database.read() as tx:
            organization = subscriptions.organization_name(tx, caller.organization_id) or ""
            owned = subscriptions.of_organization(tx, caller.organization_id)
        return UserInfo(
            caller.caller_id,
            caller.name,
            caller.organization_id,
            organization,
            caller.role,
            tuple(
                Membership(one.locator, one.name, _role(caller, one))
                for one in owned
                if allowed(Operation.SUBSCRIPTION_SHOW, caller, one)
            ),
        )

    def show(self, caller: Caller, locator: str) -> SubscriptionInfo:
        """A subscription, and how much of its quotas is used."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.SUBSCRIPTION_SHOW, locator)
            return SubscriptionInfo(subscription, subscriptions.quotas(tx, subscription.subscription_id))

    def list(self, caller: Caller) -> tuple[SubscriptionInfo, ...]:
        """The subscriptions that the caller may see, oldest first."""
        organization_permitted(caller, Operation.SUBSCRIPTIONS_LIST)
        with self._context.database.read() as tx:
            return tuple(
                SubscriptionInfo(one, subscriptions.quotas(tx, one.subscription_id))
                for one in subscriptions.of_organization(tx, caller.organization_id)
                if allowed(Operation.SUBSCRIPTION_SHOW, caller, one)
            )

    def create(
        self, caller: Caller, name: str, region_names: Sequence[str], capabilities: Sequence[str]
    ) -> SubscriptionInfo:
        """Make a subscription with these capabilities in each of these regions, and the usual quota of keys.

        Raises conflict `subscription-exists`, limit `subscription-limit`, not-found (a region).
        """
        organization_permitted(caller, Operation.SUBSCRIPTIONS_ADD)
        now = self._context.now()
        with self._context.database.write() as tx:
            members.lock(tx, caller.organization_id)  # so that the count stays true
            if len(subscriptions.of_organization(tx, caller.organization_id)) >= MAX_SUBSCRIPTIONS:
                raise AditusError(
                    Code.LIMIT,
                    "subscription-limit",
                    f"The organisation has {MAX_SUBSCRIPTIONS} subscriptions: owners may add no more.",
                    remedy="Use one of them, or ask the operator to add another.",
                )
            made = make_subscription(tx, caller, name, region_names, capabilities, DEFAULT_KEY_QUOTA, now)
            return SubscriptionInfo(made, subscriptions.quotas(tx, made.subscription_id))

    def regions(self, caller: Caller) -> tuple[Region, ...]:
        """The regions that subscriptions can be made for, by name."""
        organization_permitted(caller, Operation.REGIONS_LIST)
        with self._context.database.read() as tx:
            return regions.every(tx)

    def relay_url(self, caller: Caller, locator: str, region: str) -> str:
        """Where the agents of a region dial."""
        with self._context.database.read() as tx:
            permitted(tx, caller, Operation.SUBSCRIPTION_SHOW, locator, region)
            return next(one.relay_url for one in regions.every(tx) if one.name == region)

    def in_regions(self, caller: Caller, locator: str) -> tuple[SubscriptionRegion, ...]:
        """What a subscription may use in each of its regions, by region."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.SUBSCRIPTION_SHOW, locator)
            return tenants.regions_of(tx, subscription.subscription_id)

    def add_capability(
        self, caller: Caller, locator: str, region: str, capability: str
    ) -> SubscriptionRegion:
        """Let keys be generated for a capability in a region; the subscription gets that region if need be.

        What it had already stays. Raises not-found (the region), limit `capability-limit`.
        """
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.CAPABILITIES_ADD, locator)
            now = self._context.now()
            add_capability(change, caller, subscription, region, capability, DEFAULT_KEY_QUOTA, now)
            found = tenants.regions_of(tx, subscription.subscription_id)
            return next(one for one in found if one.region == region)

    def remove_capability(self, caller: Caller, locator: str, region: str, capability: str) -> None:
        """Let no more keys be generated for a capability in a region. Keys and apps that have it stay."""
        with self._context.database.write() as tx:
            subscription = permitted(tx, caller, Operation.CAPABILITIES_REMOVE, locator, region)
            remove_capability(tx, caller, subscription, region, capability, self._context.now())


def _role(caller: Caller, subscription: Subscription) -> Role:
    if caller.role is not Role.OWNER and subscription.subscription_id in caller.team_admin_of:
        return Role.TEAM_ADMIN
    return caller.role
