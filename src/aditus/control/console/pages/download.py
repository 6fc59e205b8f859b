"""Download: how to install and run the agent, with the addresses of this server."""

from starlette.responses import Response
from starlette.routing import Route

from aditus import __version__
from aditus.control.console.render import HEADERS
from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound


def routes(door: Door, development_ca: bytes) -> list[Route]:
    """The page, and the certificate of the development CA where agents need one."""

    def shown(visit: Visit) -> Response:
        relay_url = visit.services.subscriptions.relay_url(visit.caller, visit.locator, visit.region)
        return visit.show(
            "download.html",
            relay_url=relay_url,
            version=__version__,
            api=str(visit.request.base_url).rstrip("/"),
        )

    def ca(visit: Visit) -> Response:
        if not development_ca:
            raise unfound("file", "The relay's certificate comes from a CA that machines know.")
        disposition = {"Content-Disposition": 'attachment; filename="ca.pem"'}
        return Response(development_ca, headers=HEADERS | disposition, media_type="application/x-pem-file")

    return [door.page("/download", shown), door.page("/download/ca.pem", ca)]
