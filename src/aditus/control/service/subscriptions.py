"""Who the caller is, and what the subscriptions have."""

from aditus.control.service.context import Context, permitted
from aditus.domain.model import Caller, Membership, Role, Subscription, SubscriptionInfo, UserInfo
from aditus.domain.policy import Operation, allowed
from aditus.store import subscriptions


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


def _role(caller: Caller, subscription: Subscription) -> Role:
    if caller.role is not Role.OWNER and subscription.subscription_id in caller.team_admin_of:
        return Role.TEAM_ADMIN
    return caller.role
