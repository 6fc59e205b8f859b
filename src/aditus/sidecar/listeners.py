"""The local ports of a sidecar: one is open for as long as its app port can be reached."""

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Mapping

from aditus.net import tcp
from aditus.telemetry.log import fields

_log = logging.getLogger(__name__)

LOWEST_FREE_PORT = 1_024


class Listeners:
    """Opens and closes local ports as told. An app that comes to a closed one is refused at once."""

    def __init__(self, host: str, protocol: Callable[[int], asyncio.BaseProtocol]) -> None:
        self._host = host
        self._protocol = protocol
        self._wanted: dict[int, int] = {}  # local port → app port
        self._listeners: dict[int, tuple[int, tcp.Listener]] = {}  # by local port: app port and listener
        self._held = False
        self._binding = asyncio.Lock()
        self.failed: dict[int, str] = {}
        """Local ports that are wanted and cannot be had, and why."""

    @property
    def open(self) -> dict[int, int]:
        """The local ports that are open, and the app ports that they lead to."""
        return {local: app_port for local, (app_port, _) in self._listeners.items()}

    async def want(self, ports: Mapping[int, int]) -> None:
        """Have these local ports, each for an app port, and no others. Those that were held go on."""
        self._wanted = dict(ports)
        self._held = False
        for local, (app_port, listener) in list(self._listeners.items()):
            if self._wanted.get(local) == app_port:
                listener.go_on()
            else:
                del self._listeners[local]
                listener.close()
        async with self._binding:
            for local, app_port in list(self._wanted.items()):
                if self._wanted.get(local) == app_port and local not in self._listeners:  # still
                    await self._listen(local, app_port)
            self.failed = {local: why for local, why in self.failed.items() if local in self._wanted}

    def hold(self) -> None:
        """Let apps that come wait in the kernel's queue, until the next `want`."""
        self._held = True
        for _, listener in self._listeners.values():
            listener.hold()

    def close(self) -> None:
        """Close all ports."""
        self._wanted = {}
        for _, listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    async def _listen(self, local: int, app_port: int) -> None:
        try:
            listener = await tcp.listen(self._host, local, lambda: self._protocol(app_port))
        except OSError as error:
            self._fail(local, app_port, error)
            return
        self.failed.pop(local, None)
        if self._wanted.get(local) != app_port:  # meanwhile
            listener.close()
            return
        if self._held:
            listener.hold()
        self._listeners[local] = (app_port, listener)
        _log.info("listening", extra=fields(listen=f"{self._host}:{local}", port=app_port))

    def _fail(self, local: int, app_port: int, error: OSError) -> None:
        taken = error.errno == errno.EADDRINUSE
        why = "another program has it" if taken else os.strerror(error.errno or 0).lower()
        if self.failed.get(local) != why:
            choice = f"give it another one: -p LOCAL:{app_port}"
            _log.warning("the local port %d cannot be had: %s; %s", local, why, choice)
        self.failed[local] = why
