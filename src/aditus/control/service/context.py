"""What every use case stands on, and the question that each asks first: may this caller?"""

from collections.abc import Callable
from dataclasses import dataclass

from aditus.control.service import inputs
from aditus.control.service.feed import KeyFeed
from aditus.control.service.refusals import refusal
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Caller, Subscription
from aditus.domain.policy import Denied, Operation, allowed
from aditus.domain.ports import LiveRelays
from aditus.store import subscriptions
from aditus.store.database import Database, Transaction

OWN = "0"
"""The locator of the caller's own subscription."""


@dataclass(frozen=True, slots=True)
class Context:
    """The open database, the relays that run now, and the clock (Unix seconds)."""

    database: Database
    relays: LiveRelays
    feed: KeyFeed
    now: Callable[[], float]


def permitted(
    tx: Transaction, caller: Caller, operation: Operation, locator: str, region: str = ""
) -> Subscription:
    """The subscription, if the caller may do this operation there. Raises what the policy denies.

    With `region` the subscription must have that region: else `not-found`.
    """
    subscription = _located(tx, caller, locator)
    verdict = allowed(operation, caller, subscription)
    if isinstance(verdict, Denied):
        raise refusal(verdict)
    if subscription is None or (region and region not in subscription.regions):
        raise refusal(Denied("not-found"))
    return subscription


def organization_permitted(caller: Caller, operation: Operation) -> None:
    """For what concerns no single subscription. Raises what the policy denies."""
    verdict = allowed(operation, caller, None)
    if isinstance(verdict, Denied):
        raise refusal(verdict)


def unfound(what: str, remedy: str) -> AditusError:
    """There is no such thing in a subscription that the caller may see."""
    return AditusError(
        Code.NOT_FOUND, "not-found", f"There is no such {what} in this subscription.", remedy=remedy
    )


def _located(tx: Transaction, caller: Caller, locator: str) -> Subscription | None:
    """`0`: the oldest that the caller administrates, else the oldest of the caller's organisation."""
    if locator != OWN:
        return subscriptions.by_locator(tx, locator) if inputs.is_id(locator) else None
    owned = subscriptions.of_organization(tx, caller.organization_id)
    administrated = [one for one in owned if one.subscription_id in caller.team_admin_of]
    return next(iter([*administrated, *owned]), None)
