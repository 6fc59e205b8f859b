"""Audit: what was done, searched and exported, and whether the chain of entries holds."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.visit import Door, Visit
from aditus.store.events import Wanted

PAGE = 50  # entries


def routes(door: Door) -> list[Route]:
    """The entries, and the verification."""
    return [door.page("/audit", listed), door.page("/audit/chain", chain)]


def listed(visit: Visit) -> Response:
    """The entries, newest first."""
    text = visit.query["q"].strip()[: forms.MAX_SEARCH]
    page = visit.services.events.list(
        visit.caller, visit.locator, Wanted(text=text), cursor=visit.query["cursor"], limit=PAGE
    )
    return visit.show("audit.html", events=page.items, next_cursor=page.next_cursor, text=text)


def chain(visit: Visit) -> Response:
    """Whether every entry of the organisation is as it was written."""
    found = visit.services.chain.verify(visit.caller, visit.locator)
    return visit.show("chain.html", found=found)
