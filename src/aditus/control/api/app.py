"""The FastAPI application."""

from collections.abc import Callable

from fastapi import FastAPI

from aditus.control.service.services import Services


def create_app(services: Services, *, ready: Callable[[], bool] = lambda: True) -> FastAPI:
    """The REST API over these services. `ready` joins the database in deciding `/readyz`."""
    raise NotImplementedError
