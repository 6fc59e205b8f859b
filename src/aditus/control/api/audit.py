"""The audit chain and the strangers at the door, over HTTP."""

from collections.abc import Iterator
from itertools import chain as joined
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from aditus.control.api.answers import PageAnswer, StrangerRefusalAnswer, VerificationAnswer
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator
from aditus.control.api.texts import ReadTime
from aditus.control.service.chain import Chain
from aditus.control.service.refused import Refused

JSON_LINES = "application/x-ndjson"
KeptHead = Annotated[
    str, Query(max_length=100, description="SEQUENCE:HASH, as a verification gave it before")
]


class JsonLines(StreamingResponse):
    media_type = JSON_LINES


def router(chain: Chain, refused: Refused) -> APIRouter:
    """The routes of audit chains and refused strangers."""
    routes = APIRouter(prefix=SUBSCRIPTION, tags=["audit"])

    @routes.get("/audit-events/verify")
    def verify_audit_events(caller: Asks, locator: Locator, head: KeptHead = "") -> VerificationAnswer:
        """Look at every entry of the organisation's chain."""
        return VerificationAnswer.model_validate(chain.verify(caller, locator, head=head))

    @routes.get(
        "/audit-events/export",
        response_class=JsonLines,
        responses={200: {"content": {JSON_LINES: {"schema": {"type": "string"}}}}},
    )
    def export_audit_events(caller: Asks, locator: Locator, since: ReadTime | None = None) -> JsonLines:
        """Give away every entry of the organisation with its hash, oldest first, a line of JSON for each."""
        lines: Iterator[bytes] = chain.export(caller, locator, since=since)
        first = next(lines, b"")  # what can be refused is refused before the answer begins
        return JsonLines(joined([first], lines))

    @routes.get("/stranger-refusals")
    def list_stranger_refusals(caller: Asks, locator: Locator) -> PageAnswer[StrangerRefusalAnswer]:
        """List who was refused at the relays without having proved anything: the newest 500 counts."""
        found = refused.strangers(caller, locator)
        return PageAnswer(items=[StrangerRefusalAnswer.model_validate(one) for one in found])

    return routes
