"""The console as routes for the server to take in."""

from collections.abc import Collection

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from aditus.control.console.pages import (
    account,
    app,
    apps,
    audit,
    download,
    generate,
    key,
    keys,
    members,
    overview,
    sign_in,
    tokens,
    tunnels,
)
from aditus.control.console.render import HEADERS, Renderer
from aditus.control.console.static_files import StaticFiles
from aditus.control.console.visit import HOME, Door
from aditus.control.http.limits import Limits
from aditus.control.service.services import Services


def routes(
    services: Services, limits: Limits, development_ca: bytes = b"", ca_regions: Collection[str] = ()
) -> list[BaseRoute]:
    """All pages. `limits` are those of the REST API: who asks too often does so on both.

    `development_ca` is the certificate, in PEM, that agents need in `ca_regions`, where no machine knows the
    relay's CA.
    """
    static = StaticFiles()
    renderer = Renderer(static, ca_regions if development_ca else ())
    door = Door(services, limits, renderer)

    async def root(request: Request) -> Response:
        return RedirectResponse(HOME, 303, HEADERS)

    async def home(request: Request) -> Response:
        return await run_in_threadpool(door.home, request)

    async def nothing_here(request: Request) -> Response:
        return await run_in_threadpool(door.nothing_here, request)

    return [
        Route("/", root),
        static.route(),
        *sign_in.routes(services, limits, renderer, door),
        Route(HOME, home),
        *generate.routes(door),
        *keys.routes(door),
        *key.routes(door),
        *apps.routes(door),
        *app.routes(door),
        *tunnels.routes(door),
        *download.routes(door, development_ca),
        *audit.routes(door),
        *members.routes(door),
        *tokens.routes(door),
        *account.routes(door),
        *overview.routes(door),
        Route(HOME + "/{locator}", home),
        Route(HOME + "/{rest:path}", nothing_here),
    ]
