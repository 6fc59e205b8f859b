"""The FastAPI application."""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from aditus import __version__
from aditus.control.api import (
    apps,
    audit,
    docs_page,
    event_stream,
    health,
    keys,
    members,
    sessions,
    subscriptions,
    tokens,
    tunnels,
)
from aditus.control.api.asking import COOKIE, TOKEN
from aditus.control.api.document import tell_errors
from aditus.control.api.gate import Gate
from aditus.control.api.problems import on_aditus_error, on_http_error, on_validation_error
from aditus.control.http.limits import Limits
from aditus.control.service.services import Services
from aditus.domain.errors import AditusError


class Api(FastAPI):
    """FastAPI whose OpenAPI document tells of our errors instead of its own."""

    def openapi(self) -> dict[str, Any]:
        told = self.openapi_schema is not None
        document = super().openapi()
        if not told:
            tell_errors(document)
        return document


def create_app(
    services: Services,
    *,
    ready: Callable[[], bool] = lambda: True,
    limits: Limits | None = None,
    pages: Sequence[BaseRoute] = (),
    answered: Callable[[int, float], None] = lambda status, seconds: None,
) -> FastAPI:
    """The REST API over these services, with `pages` beside it. `ready` joins the database in `/readyz`.

    `answered` is told the status of each answer and the seconds that it took.
    """
    app = Api(
        title="Aditus",
        summary="Access keys, apps and live tunnels",
        version=__version__,
        docs_url=None,  # it would load scripts from a CDN: see docs_page
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        # Its logs and spans would carry texts of failures, and with them parts of requests, elsewhere.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    for routes in (
        health.router(services.alive, ready),
        sessions.open_router(services.sign_in, services.auth, services.subscriptions),
        members.open_router(services.invitations),
    ):
        app.include_router(routes)
    for routes in (
        subscriptions.router(services.subscriptions, services.events),
        keys.router(services.keys, services.rotation),
        apps.router(services.apps, services.credentials),
        tunnels.router(services.tunnels),
        event_stream.router(services.news, services.tunnels),
        tokens.router(services.tokens),
        audit.router(services.chain, services.refused),
        sessions.router(services.sign_in),
        members.router(services.members, services.invitations),
    ):
        app.include_router(routes, dependencies=[TOKEN, COOKIE])
    app.include_router(docs_page.router(app.openapi))
    app.router.routes.extend(pages)
    app.add_exception_handler(AditusError, on_aditus_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_middleware(Gate, auth=services.auth, limits=limits or Limits(), answered=answered)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
