"""The machine's own door: a listener on this host for each app port that agents offer.

A port belongs to the first key that offers it, until that key is revoked, so that no other key can take it
while an agent reconnects. The listener itself is open only while a tunnel of the key serves the port:
otherwise apps see a refused connection.
"""

import asyncio
import errno
import logging
import time
from collections.abc import Callable

from aditus.domain.relays import PortStatus
from aditus.net import tcp
from aditus.net.pump import Pump
from aditus.net.ws import format_address
from aditus.relay.conversation import TARGET_FAILURES, Conversation
from aditus.relay.open import Opener
from aditus.relay.report import Reporter
from aditus.relay.settings import LOWEST_LISTENER_PORT, RelaySettings
from aditus.telemetry.log import fields
from aditus.wire.errors import CannotOpen, ResetReason
from aditus.wire.frames import Verdict

_log = logging.getLogger(__name__)

TOLD_EVERY_SECONDS = 10.0
"""How often the log says that apps have to wait."""


class AppPump(Pump):
    """The pump of an app's connection: it opens the stream as soon as the app is there."""

    def __init__(
        self, key_id: str, port: int, opener: Opener, reporter: Reporter, full: Callable[[], None]
    ) -> None:
        super().__init__(ResetReason.APP_RESET)
        self._key_id = key_id
        self._port = port
        self._opener = opener
        self._reporter = reporter
        self._full = full
        self._conversation: Conversation | None = None  # once there is a stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        source = format_address(transport.get_extra_info("peername"))
        try:
            opened = self._opener.open(self._key_id, self._port, source, self)
        except CannotOpen as error:
            _log.info("refused an app: %s", error.reason.token, extra=fields(port=self._port, source=source))
            self.refuse()
            return
        self.bind(opened.stream)
        self._conversation = Conversation(opened)
        if opened.tunnel.guard.shut:
            self._full()

    def accepted(self) -> None:
        if self._conversation is not None:
            self._conversation.accepted()
        super().accepted()

    def connection_lost(self, exc: Exception | None) -> None:
        clean = exc is None and not self.dead and self._fin_sent and self._fin_received
        super().connection_lost(exc)
        if self._conversation is not None:
            self._conversation.over(None if clean else ResetReason.APP_RESET)
            # A turn later, when all that a revoke cuts has been reset: nobody waits for records.
            asyncio.get_running_loop().call_soon(self._conversation.keep, self._reporter)

    def cut(self, reason: ResetReason, detail: str) -> None:
        level = logging.INFO if reason in TARGET_FAILURES else logging.DEBUG  # the others are told once
        text = f"{reason.token}, {detail}" if detail else reason.token
        _log.log(level, "a stream was reset: %s", text, extra=fields(port=self._port))
        super().cut(reason, detail)
        if self._conversation is not None:
            self._conversation.over(reason)


class Ingress:
    """The listeners of one relay, and which key each port belongs to."""

    def __init__(self, settings: RelaySettings, opener: Opener, reporter: Reporter) -> None:
        self._settings = settings
        self._opener = opener
        self._reporter = reporter
        self.freed: Callable[[int], None] = lambda port: None
        """Told of each port that is no key's any more."""
        self._owners: dict[int, str] = {}
        self._listeners: dict[int, tcp.Listener] = {}
        self._finishing = 0  # listeners that let in those who wait, and are then closed
        self._shut = False
        self.is_shut = asyncio.Event()
        """Set by `shut`, once nobody comes in any more; and before, while there is no listener."""
        self.is_shut.set()
        self._binding = asyncio.Lock()
        self._told_at = -TOLD_EVERY_SECONDS

    async def serve(self, key_id: str, port: int) -> PortStatus:
        """Listen for apps of this key on this port, and say whether that is possible, or why not."""
        host = self._settings.app_listen
        if host is None:
            return _status(port, Verdict.NO_LISTENER, "this relay has no listeners (--app-listen off)")
        if self._shut:
            return _status(port, Verdict.NO_LISTENER, "this relay is shutting down")
        if port < LOWEST_LISTENER_PORT or port in self._settings.reserved_ports:
            return _status(port, Verdict.PORT_RESERVED, "ports below 1024 and the relay's own are not served")
        if self._owners.setdefault(port, key_id) != key_id:
            return _status(port, Verdict.PORT_TAKEN, "another access key has this port on this relay")
        async with self._binding:
            if port not in self._listeners:
                try:
                    listener = await tcp.listen(host, port, lambda: self._pump(key_id, port))
                except OSError as error:
                    if self._owners.get(port) == key_id:
                        del self._owners[port]
                    taken = error.errno == errno.EADDRINUSE
                    why = (
                        "another program has this port" if taken else (error.strerror or "it failed").lower()
                    )
                    return _status(port, Verdict.PORT_IN_USE, f"on the relay's host {why}")
                if self._owners.get(port) != key_id:  # revoked while we were binding
                    listener.close()
                    return _status(port, Verdict.PORT_NOT_ALLOWED, "the access key was revoked")
                self._listeners[port] = listener
                self.is_shut.clear()
                _log.info("listening for apps", extra=fields(listen=f"{host}:{port}"))
        return _status(port, Verdict.SERVED)

    def pause(self, port: int, key_id: str) -> None:
        """Close the listener of a port that no agent of its key serves now; the port stays the key's."""
        if self._owners.get(port) == key_id and port in self._listeners:
            self._listeners.pop(port).close()
            self._look()

    async def finish(self, port: int, key_id: str) -> None:
        """As `pause`, but those who wait in the listener are let in before."""
        if self._owners.get(port) != key_id or port not in self._listeners:
            return
        self._finishing += 1
        try:
            await self._listeners.pop(port).finish()
        finally:
            self._finishing -= 1
            self._look()

    async def shut(self) -> None:
        """Let in those who wait for any port, and nobody from now on."""
        self._shut = True
        await asyncio.gather(*(self.finish(port, self._owners[port]) for port in list(self._listeners)))

    def go_on(self, port: int, key_id: str) -> None:
        """An agent of the key may have room again: who waited for the port is let in until there is none."""
        if self._owners.get(port) == key_id and port in self._listeners:
            self._listeners[port].go_on()

    def release(self, key_id: str, only: int | None = None) -> None:
        """The key may not have its ports, or `only` that one: close their listeners, let others have them."""
        for port in [port for port, owner in self._owners.items() if owner == key_id]:
            if only in (None, port):
                self.pause(port, key_id)
                del self._owners[port]
                self.freed(port)

    def close(self) -> None:
        """Close every listener."""
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()
        self._look()

    def _look(self) -> None:
        if not self._listeners and not self._finishing:
            self.is_shut.set()

    def _pump(self, key_id: str, port: int) -> AppPump:
        return AppPump(key_id, port, self._opener, self._reporter, lambda: self._hold(port, key_id))

    def _hold(self, port: int, key_id: str) -> None:
        """Let who comes for this port wait, if no agent of its key has room."""
        listener = self._listeners.get(port)
        if listener is None or listener.held or not self._opener.is_full(key_id, port):
            return
        listener.hold()
        if time.monotonic() - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = time.monotonic()
            _log.warning(
                "apps have to wait: too many streams are not accepted by the agent yet, or failed;"
                " look whether its target answers",
                extra=fields(port=port),
            )


def _status(port: int, verdict: Verdict, detail: str = "") -> PortStatus:
    return PortStatus(port, verdict.accepted, verdict.token, detail)
