"""Who the caller is, what subscriptions there are, what each has, and what was done in it, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from aditus.control.api.answers import (
    AuditEventAnswer,
    PageAnswer,
    RegionAnswer,
    SubscriptionAnswer,
    SubscriptionRegionAnswer,
    UserInfoAnswer,
)
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator, Region
from aditus.control.api.bodies import CreateSubscription, PageQuery
from aditus.control.service.events import Events
from aditus.control.service.subscriptions import Subscriptions

CAPABILITY = SUBSCRIPTION + "/regions/{region}/capabilities/{capability}"
Capability = Annotated[str, Path(description="The name of a capability")]


def router(subscriptions: Subscriptions, events: Events) -> APIRouter:
    """The routes of callers and subscriptions."""
    routes = APIRouter(tags=["subscriptions"])

    @routes.get("/v1/userinfo")
    def userinfo(caller: Asks) -> UserInfoAnswer:
        """Tell who the caller is, and where."""
        return UserInfoAnswer.of(subscriptions.userinfo(caller))

    @routes.get("/v1/regions")
    def list_regions(caller: Asks) -> PageAnswer[RegionAnswer]:
        """List the regions that subscriptions can be made for, all on one page."""
        found = subscriptions.regions(caller)
        return PageAnswer(items=[RegionAnswer.model_validate(one) for one in found])

    @routes.get("/v1/subscriptions")
    def list_subscriptions(caller: Asks) -> PageAnswer[SubscriptionAnswer]:
        """List the subscriptions that the caller may see, oldest first, all on one page."""
        return PageAnswer(items=[SubscriptionAnswer.of(one) for one in subscriptions.list(caller)])

    @routes.post("/v1/subscriptions", status_code=201)
    def create_subscription(caller: Asks, body: CreateSubscription) -> SubscriptionAnswer:
        """Make a subscription with these capabilities in each of these regions."""
        made = subscriptions.create(caller, body.name, body.regions, body.capabilities)
        return SubscriptionAnswer.of(made)

    @routes.get(f"{SUBSCRIPTION}/regions")
    def list_subscription_regions(caller: Asks, locator: Locator) -> PageAnswer[SubscriptionRegionAnswer]:
        """List what a subscription may use in each of its regions, all on one page."""
        found = subscriptions.in_regions(caller, locator)
        return PageAnswer(items=[SubscriptionRegionAnswer.of(one) for one in found])

    @routes.put(CAPABILITY)
    def add_capability(
        caller: Asks, locator: Locator, region: Region, capability: Capability
    ) -> SubscriptionRegionAnswer:
        """Let keys be generated for a capability in a region, which the subscription gets if need be."""
        return SubscriptionRegionAnswer.of(subscriptions.add_capability(caller, locator, region, capability))

    @routes.delete(CAPABILITY, status_code=204)
    def remove_capability(caller: Asks, locator: Locator, region: Region, capability: Capability) -> None:
        """Let no more keys be generated for a capability in a region. Keys and apps that have it stay."""
        subscriptions.remove_capability(caller, locator, region, capability)

    @routes.get(SUBSCRIPTION)
    def show_subscription(caller: Asks, locator: Locator) -> SubscriptionAnswer:
        """Show a subscription, and how much of its quotas is used."""
        return SubscriptionAnswer.of(subscriptions.show(caller, locator))

    @routes.get(f"{SUBSCRIPTION}/audit-events")
    def list_audit_events(
        caller: Asks, locator: Locator, query: Annotated[PageQuery, Query()]
    ) -> PageAnswer[AuditEventAnswer]:
        """List what was done, newest first."""
        page = events.list(caller, locator, cursor=query.cursor, limit=query.limit)
        return PageAnswer[AuditEventAnswer].model_validate(page)

    return routes
