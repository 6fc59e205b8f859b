"""Whether the control plane lives, and whether it can work."""

from collections.abc import Callable

from fastapi import APIRouter

from aditus.control.api.answers import HealthAnswer
from aditus.domain.errors import AditusError, Code


def router(alive: Callable[[], None], ready: Callable[[], bool]) -> APIRouter:
    """`alive` raises when the database does not answer; `ready` tells of everything else."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> HealthAnswer:  # on the loop itself, so that it answers while all threads are busy
        """The process lives."""
        return HealthAnswer(status="ok")

    @routes.get("/readyz")
    def readyz() -> HealthAnswer:
        """The process can do its work: its database answers, and its relay accepts agents."""
        alive()
        if not ready():
            raise AditusError(
                Code.UNAVAILABLE,
                "not-ready",
                "The server is starting or stopping.",
                remedy="Ask again in some seconds.",
            )
        return HealthAnswer(status="ready")

    return routes
