"""The control plane's thread: uvicorn on an event loop of its own, away from the relay's."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Any, cast

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STOP_SECONDS = 3
"""What running requests are given when the server stops."""
KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 2_048
FIRST_REQUEST_SECONDS = 10.0
"""What a fresh connection is given to make its first request: else strangers could hold them all."""


class ApiThread:
    """Serves an ASGI app on a bound socket until `stop`.

    `trusted` are proxies whose `X-Forwarded-…` is believed; with `only_trusted` nobody else is answered.
    """

    def __init__(
        self,
        app: App,
        sock: socket.socket,
        tls: tuple[Path, Path] | None,
        trusted: Sequence[IPv4Network | IPv6Network],
        *,
        only_trusted: bool = False,
    ) -> None:
        believing: Any = app
        if trusted:  # uvicorn would do it first of all, but the peer counts before the headers name another
            believing = ProxyHeadersMiddleware(believing, [str(network) for network in trusted])
        config = uvicorn.Config(
            OnlyFrom(believing, trusted) if only_trusted else believing,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            limit_concurrency=MAX_CONNECTIONS,
            http=ImpatientHttp,
            ws="none",
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=str(tls[1]) if tls else None,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [sock]}, name="control-plane"
        )

    def start(self) -> None:
        """Begin to serve; the socket answers from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish running requests and end the thread. Blocks for `STOP_SECONDS` and a little at most."""
        self._server.should_exit = True
        self._thread.join()


class ImpatientHttp(H11Protocol):
    """Closes connections on which nobody asks anything; uvicorn itself waits for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.loop.call_later(FIRST_REQUEST_SECONDS, self._close_if_unasked)

    def _close_if_unasked(self) -> None:
        if cast(object | None, self.cycle) is None:
            self.transport.abort()


class OnlyFrom:
    """Behind a proxy the API speaks plain HTTP, so it answers that proxy alone."""

    def __init__(self, app: App, trusted: Sequence[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_trusted(scope):
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b"Only the trusted proxy is answered here.\n"})
            return
        await self._app(scope, receive, send)

    def _is_trusted(self, scope: Scope) -> bool:
        client = scope.get("client")
        if not client:
            return False
        address = ip_address(client[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:  # of a listener on [::]
            address = address.ipv4_mapped
        return any(address in network for network in self._trusted)
