"""Tunnels: which agents are attached now, what they offer, and the end of one."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError
from aditus.domain.policy import Operation

PAGE = 250  # tunnels


def routes(door: Door) -> list[Route]:
    """The list, and the cut."""
    return [
        door.page("/tunnels", listed),
        door.form("/tunnels/{tunnel_id}/cut", Operation.TUNNELS_CUT, cut, was_cut),
    ]


def listed(visit: Visit) -> Response:
    """The live tunnels; scripts keep the page as it is now."""
    tunnels = visit.tunnels()
    wanted = visit.query["q"].strip().lower()
    found = [
        one
        for one in tunnels
        if wanted in " ".join((one.access_key_id, one.agent_host, one.peer, one.agent_version)).lower()
    ]
    elsewhere = len(visit.services.tunnels.list(visit.caller, visit.locator)) - len(tunnels)
    return visit.show(
        "tunnels.html",
        tunnels=found[:PAGE],
        found=len(found),
        total=len(tunnels),
        elsewhere=max(0, elsewhere),
    )


def cut(visit: Visit, error: AditusError | None) -> Response:
    """What the cut ends."""
    tunnel_id = visit.request.path_params["tunnel_id"]
    tunnels = visit.tunnels()
    tunnel = next((one for one in tunnels if one.tunnel_id == tunnel_id), None)
    if tunnel is None:
        raise unfound("tunnel", "It is gone already, or never was: look at the list.")
    return visit.show("cut_tunnel.html", error=error, tunnel=tunnel)


def was_cut(visit: Visit) -> Response:
    """Back to the list."""
    visit.services.tunnels.cut(visit.caller, visit.locator, visit.request.path_params["tunnel_id"])
    return visit.go("tunnels", notice="tunnel-cut")
