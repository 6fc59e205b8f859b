"""The pump of an app's connection to a sidecar: it opens the stream as soon as the app is there."""

import asyncio
from typing import Protocol

from aditus.net.mux import MuxStream, StreamEnd
from aditus.net.pump import Pump
from aditus.net.ws import format_address
from aditus.telemetry.complaints import Complaints
from aditus.wire.errors import CannotOpen, ResetReason


class Way(Protocol):
    """The way to the agents: what a pump needs of its sidecar."""

    complaints: Complaints

    def open(self, port: int, source: str, end: StreamEnd) -> MuxStream:
        """A stream for an app port. Raises `CannotOpen`."""
        ...


class AppPump(Pump):
    """Carries one conversation of an app. What goes wrong resets it, and the log says why."""

    def __init__(self, port: int, way: Way) -> None:
        super().__init__(ResetReason.APP_RESET)
        self._port = port
        self._way = way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        source = format_address(transport.get_extra_info("peername"))
        try:
            self.bind(self._way.open(self._port, source, self))
        except CannotOpen as error:
            complain(self._way, self._port, error.reason)
            self.refuse()

    def cut(self, reason: ResetReason, detail: str) -> None:
        complain(self._way, self._port, reason, detail)
        super().cut(reason, detail)


def complain(way: Way, port: int, reason: ResetReason, detail: str = "") -> None:
    """Say in the log why an app's connection was reset."""
    way.complaints.warn(
        f"reset an app's connection: {detail or reason.token}", (port, reason), port=port, reason=reason.token
    )
