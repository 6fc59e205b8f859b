"""Who the caller is, what a subscription has, and what was done in it, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from aditus.control.api.answers import AuditEventAnswer, PageAnswer, SubscriptionAnswer, UserInfoAnswer
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator
from aditus.control.api.bodies import PageQuery
from aditus.control.service.events import Events
from aditus.control.service.subscriptions import Subscriptions


def router(subscriptions: Subscriptions, events: Events) -> APIRouter:
    """The routes of callers and subscriptions."""
    routes = APIRouter(tags=["subscriptions"])

    @routes.get("/v1/userinfo")
    def userinfo(caller: Asks) -> UserInfoAnswer:
        """Tell who the caller is, and where."""
        return UserInfoAnswer.of(subscriptions.userinfo(caller))

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
