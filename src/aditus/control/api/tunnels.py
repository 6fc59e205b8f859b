"""What is live now, over HTTP."""

from fastapi import APIRouter

from aditus.control.api.answers import PageAnswer, StreamAnswer, TunnelAnswer
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator
from aditus.control.service.tunnels import Tunnels


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

    return routes
