"""The proxies of a sidecar: an app says where it wants to go, and then it is a connection as any other."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol, cast

from aditus.domain.spec import is_alias
from aditus.net import tcp
from aditus.net.pump import Pump, reset_on_close
from aditus.net.ws import format_address
from aditus.sidecar.app_pump import Way, complain
from aditus.sidecar.destination import Asked, Conversation, Refused, destination
from aditus.sidecar.http_connect import HttpConnect
from aditus.sidecar.settings import SidecarSettings
from aditus.sidecar.socks import Socks
from aditus.telemetry.complaints import Complaints
from aditus.wire.errors import CannotOpen, ResetReason

TALK_SECONDS = 10.0
"""How long an app may take to say where it wants to go; and, once refused, to hear why and hang up."""
MAX_WAITING = 1_024
"""Apps without a stream yet, some KiB each. A service that does not answer keeps its apps among them."""
MAX_ALIASES = 1_024
"""Aliases that are remembered; a region's agents choose them."""


class ProxyWay(Way, Protocol):
    """The way to the agents, and what can be reached on it."""

    @property
    def ports(self) -> Mapping[int, str]:
        """The app ports that can be reached now, each with its alias, or an empty one."""


class Proxies:
    """Those that the settings ask for. They stay open while no relay serves: apps are told why they wait."""

    def __init__(self, settings: SidecarSettings, way: ProxyWay) -> None:
        asked: list[tuple[str, tuple[str, int] | None, Callable[[], Conversation]]] = [
            ("--socks", settings.socks, Socks),
            ("--http-proxy", settings.http_proxy, HttpConnect),
        ]
        self._asked = [(option, address, make) for option, address, make in asked if address is not None]
        self.way = way
        self.waiting: set[ProxyPump] = set()
        """Connections that have no stream yet, or were refused one and did not hang up yet."""
        self.unread = memoryview(bytearray(16_384))
        """Where they read into, each for the length of one call."""
        self._aliases: dict[str, int] = {}  # the one that was seen last is the last
        self._listeners: list[tcp.Listener] = []

    async def open(self) -> None:
        """Listen. Raises `AditusError` (invalid) when an address cannot be had."""
        for option, (host, port), make in self._asked:
            try:
                listener = await tcp.listen(host, port, partial(self._pump, make))
            except OSError as error:
                raise tcp.cannot_listen(option, format_address((host, port)), error) from error
            self._listeners.append(listener)

    def _pump(self, make: Callable[[], Conversation]) -> "ProxyPump":
        return ProxyPump(make(), self)

    def close(self) -> None:
        """Stop listening, and reset those who wait."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
        for pump in list(self.waiting):
            pump.give_up()

    def hold(self) -> None:
        """Let apps that come wait in the kernel's queue, until `follow`."""
        for listener in self._listeners:
            listener.hold()

    def follow(self) -> None:
        """Go on, and learn the aliases that can be reached now."""
        for port, alias in self.way.ports.items():
            if alias:
                self._aliases.pop(alias, None)
                self._aliases[alias] = port
        for alias in list(self._aliases)[:-MAX_ALIASES]:
            del self._aliases[alias]
        for listener in self._listeners:
            listener.go_on()

    def destination(self, host: str, port: int) -> int | Refused:
        """The app port that can be reached now and is meant by `host`:`port`, or why there is none.

        One whose agent is away is not offered. Names that were never seen are not allowed; but while nothing
        at all can be reached, nobody knows of a name that could be an alias.
        """
        ports = self.way.ports
        found = destination(host, port, frozenset(ports), self._aliases)
        if isinstance(found, int) or found.reason is not ResetReason.ADDRESS_NOT_ALLOWED:
            return found
        unknown = not ports and is_alias(host.removesuffix(".").lower())
        return Refused(ResetReason.NO_AGENT, found.text) if unknown else found


class ProxyPump(Pump):
    """Drives a conversation, opens the stream, and says what the far side says of it; then a `Pump`."""

    def __init__(self, conversation: Conversation, proxies: Proxies) -> None:
        super().__init__(ResetReason.APP_RESET)
        self._conversation = conversation
        self._proxies = proxies
        self._port = 0
        self._rest = b""  # came with the request
        self._carries = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def give_up(self) -> None:
        """End the connection now, and its stream with it."""
        if self._transport is not None:
            self._transport.abort()

    # --- the TCP side --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        waiting = self._proxies.waiting
        if len(waiting) >= MAX_WAITING:
            self._complaints.warn(f"reset an app's connection: {MAX_WAITING} others of a proxy wait already")
            self.refuse()
            return
        waiting.add(self)
        self._until(TALK_SECONDS)

    def get_buffer(self, sizehint: int) -> memoryview:
        return super().get_buffer(sizehint) if self._carries else self._proxies.unread

    def buffer_updated(self, nbytes: int) -> None:
        if self._carries:
            super().buffer_updated(nbytes)
        elif not self.dead:
            self._talk(bytes(self._proxies.unread[:nbytes]))

    def resume_writing(self) -> None:
        if self._refused:
            self._say_no_more()
        else:
            super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()
        super().connection_lost(exc)

    def _flow(self) -> None:
        if self._carries:
            super()._flow()

    # --- the stream's side ---------------------------------------------------------------------

    def accepted(self) -> None:
        if self.dead or self._carries or self._transport is None:
            return
        self._leave()
        self._carries = True
        self.greet(self._conversation.accept())
        self._flow()
        self._transport.resume_reading()
        rest, self._rest = self._rest, b""
        if rest and self._stream is not None:
            self._stream.send(memoryview(rest))

    def cut(self, reason: ResetReason, detail: str) -> None:
        complain(self._proxies.way, self._port, reason, detail)
        if self._carries or self.dead:
            super().cut(reason, detail)
        else:
            self._refuse(Refused(reason, ""))

    # --- the conversation ----------------------------------------------------------------------

    @property
    def _complaints(self) -> Complaints:
        return self._proxies.way.complaints

    def _talk(self, data: bytes) -> None:
        result = self._conversation.receive(data)
        transport = cast(asyncio.Transport, self._transport)
        if words := self._conversation.to_send():
            transport.write(words)
        if isinstance(result, Refused):
            self._complaints.warn(result.text, result.reason)
            self._hang_up()
        elif result is not None:
            self._open(transport, result)

    def _open(self, transport: asyncio.Transport, asked: Asked) -> None:
        found = self._proxies.destination(asked.host, asked.port)
        if isinstance(found, Refused):
            # The name stays out of the log: it is the app's, and there is no bound on what it may be.
            self._complaints.warn("refused an app of a proxy", found.reason, reason=found.reason.token)
            self._refuse(found)
            return
        self._port, self._rest = found, asked.rest
        if self._deadline is not None:
            self._deadline.cancel()  # from here on, the agent has its own
        transport.pause_reading()
        source = format_address(transport.get_extra_info("peername"))
        try:
            self.bind(self._proxies.way.open(found, source, self))
        except CannotOpen as error:
            complain(self._proxies.way, found, error.reason)
            self._refuse(Refused(error.reason, ""))

    def _refuse(self, refused: Refused) -> None:
        if self._transport is None:
            return
        self._transport.write(self._conversation.refuse(refused))
        self._hang_up()

    def _hang_up(self) -> None:
        """A clean end after the answer. What still comes is read: unread bytes would make it a reset."""
        transport = cast(asyncio.Transport, self._transport)
        self.dead = self._refused = True
        self._until(TALK_SECONDS)
        reset_on_close(transport, False)
        transport.resume_reading()
        transport.set_write_buffer_limits(0, 0)  # from now on `resume_writing` means: all is written
        if not transport.get_write_buffer_size():
            self._say_no_more()

    def _say_no_more(self) -> None:
        transport = cast(asyncio.Transport, self._transport)
        try:
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        except OSError:  # the app was faster, and there is nobody left to tell
            transport.abort()

    def _until(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = asyncio.get_running_loop().call_later(seconds, self.give_up)

    def _leave(self) -> None:
        self._proxies.waiting.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
