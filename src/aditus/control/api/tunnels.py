"""What is live now, and which streams there were, over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query

from aditus.control.api.answers import PageAnswer, StreamAnswer, StreamRecordAnswer, TunnelAnswer
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator
from aditus.control.api.bodies import StreamRecordsQuery
from aditus.control.service.tunnels import Tunnels
from aditus.store.stream_records import Wanted


def router(tunnels: Tunnels) -> APIRouter:
    """The routes of tunnels and streams."""
    routes = APIRouter(prefix=SUBSCRIPTION, tags=["tunnels"])

    @routes.get("/tunnels")
    def list_tunnels(caller: Asks, locator: Locator) -> PageAnswer[TunnelAnswer]:
        """List the live tunnels, oldest first, all on one page."""
        found = tunnels.list(caller, locator)
        return PageAnswer(items=[TunnelAnswer.model_validate(tunnel) for tunnel in found])

    @routes.delete("/tunnels/{tunnel_id}", status_code=204)
    def cut_tunnel(caller: Asks, locator: Locator, tunnel_id: str) -> None:
        """End one tunnel. To keep its agent out, suspend or revoke the key."""
        tunnels.cut(caller, locator, tunnel_id)

    @routes.get("/streams")
    def list_streams(caller: Asks, locator: Locator) -> PageAnswer[StreamAnswer]:
        """List the live streams, oldest first, all on one page."""
        found = tunnels.streams(caller, locator)
        return PageAnswer(items=[StreamAnswer.model_validate(stream) for stream in found])

    @routes.get("/stream-records")
    def list_stream_records(
        caller: Asks, locator: Locator, query: Annotated[StreamRecordsQuery, Query()]
    ) -> PageAnswer[StreamRecordAnswer]:
        """List finished streams, the newest first. They are kept for 7 days."""
        wanted = Wanted(query.access_key_id, query.port, query.reason, query.since, query.until)
        page = tunnels.stream_records(caller, locator, wanted, cursor=query.cursor, limit=query.limit)
        return PageAnswer[StreamRecordAnswer].model_validate(page)

    return routes
