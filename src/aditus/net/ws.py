"""WebSockets: the only room that knows picows and aiofastnet's part in it.

What the rest of the house sees is a `WebSocket` that sends whole binary messages, and a
`MessageHandler` that receives them. Whatever RFC 6455 or the protocol page forbids, and picows lets
pass, is refused here.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from struct import Struct
from typing import Any, Protocol, cast

import picows

from aditus.net import proxy as way_out
from aditus.net import resets, tcp
from aditus.net.tcp import ACCEPTED_AT_ONCE, BACKLOG, accepted_from
from aditus.wire.errors import CloseCode
from aditus.wire.frames import MAX_FRAME, SUBPROTOCOL

_log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 5.0
"""How long TLS, and then the HTTP upgrade, may each take."""
CLOSE_SECONDS = 2.0
"""How long a peer may take to read what is left before a close becomes an abort."""
WRITE_HIGH = 65_536
"""Bytes in the transport's buffer above which no further frame is chosen: later ones may be more urgent."""
WRITE_LOW = 16_384
UNSENT = 65_536
"""Bytes that the kernel takes ahead of the network, where it can be told (`TCP_NOTSENT_LOWAT`)."""
ENCRYPTED = 4 * (16_384 + 64)
"""Bytes of TLS records that are made ahead of the kernel: four of the largest ones."""
READ_BUFFER = 4_096
"""Bytes of a fresh receive buffer; it grows with the frames that come, up to one frame and a read."""
MAX_PAGE = 4_096
"""Bytes of an error page that are looked at."""
NORMAL = 1000
"""The close code of one who names none."""
LAST_CLOSE_CODE = 4_999
_LAST_DATA_RECEIVED = Struct("52xI")
"""Of Linux's `struct tcp_info`: `tcpi_last_data_recv`, in milliseconds."""
_UNSAYABLE = frozenset({0, 1006})


class NotAditus(Exception):
    """The server became a WebSocket, but does not speak our protocol: something else answers there."""


class HungUp(ConnectionResetError):
    """The connection was closed instead of an answer. Of an alert of TLS, picows tells nothing."""


class Refused(Exception):
    """The server answered the upgrade with an HTTP error. Headers are case-insensitive.

    `wants_certificate`: it is nginx, and says that a client certificate is missing or not trusted.
    """

    def __init__(self, status: int, headers: Mapping[str, str], wants_certificate: bool = False) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = headers
        self.wants_certificate = wants_certificate


class MessageHandler(Protocol):
    """Who gets what a WebSocket receives. Called on the loop; must not raise."""

    def connected(self, ws: "WebSocket") -> None: ...

    def message(self, message: memoryview) -> None:
        """One binary message; the view is valid during the call only."""
        ...

    def violated(self, what: str) -> None:
        """The peer sent something that is no binary message: the handler closes."""
        ...

    def writable(self) -> None:
        """The transport's buffer has room again."""
        ...

    def closed(self, code: int | None, reason: str) -> None:
        """The WebSocket is gone. `code` is None when the peer said no close."""
        ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A request to become a WebSocket: path as sent, header names case-insensitive.

    `source` is the IP address it came from, `forwarded` its `X-Forwarded-For`, all of them joined.
    """

    path: str
    headers: Mapping[str, str]
    source: str = ""
    forwarded: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a WebSocket. The body is text for people."""

    status: HTTPStatus
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)


class WebSocket(picows.WSListener):
    """One open WebSocket: sends binary messages, hands received ones to its handler."""

    def __init__(self, handler: MessageHandler) -> None:
        self._handler = handler
        self._transport: picows.WSTransport | None = None
        self._said: tuple[int, str] | None = None
        self._farewell: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] | None = None
        self.writable = True
        """Whether the transport's buffer is below its high mark."""

    # --- outwards ------------------------------------------------------------------------------

    def send(self, message: bytes) -> None:
        """Send one binary message. Never blocks: ask `writable` first."""
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.BINARY, message)

    def close(self, code: CloseCode, reason: str) -> None:
        """Say why and close; what the peer does not read within `CLOSE_SECONDS` is dropped."""
        transport = self._transport
        if transport is None or transport.is_close_frame_sent:
            return
        self._said = (int(code), reason)
        transport.send_close(int(code), reason)  # type: ignore[arg-type]  # picows takes any close code
        self._hang_up(transport)

    def abort(self) -> None:
        """Drop the connection without a word."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _hang_up(self, transport: picows.WSTransport) -> None:
        transport.disconnect()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, transport.disconnect, False)

    @property
    def descriptor(self) -> int:
        """The descriptor of its socket; -1 when it is gone."""
        if self._transport is None:
            return -1
        descriptor: int = self._transport.underlying_transport.get_extra_info("socket").fileno()
        return descriptor

    def silence(self) -> float | None:
        """Seconds since bytes came, of a message not whole yet, too; None where the system does not say."""
        if self._transport is None or sys.platform != "linux":
            return None
        sock: socket.socket = self._transport.underlying_transport.get_extra_info("socket")
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED.size)
        (milliseconds,) = _LAST_DATA_RECEIVED.unpack(info)
        return float(milliseconds) / 1000

    @property
    def peer(self) -> str:
        """The address of the other side as `host:port`, IPv6 in brackets."""
        if self._transport is None:
            return ""
        return format_address(self._transport.underlying_transport.get_extra_info("peername"))

    @property
    def certificate_ends_at(self) -> float | None:
        """Until when the certificate of the peer is good, in Unix seconds; None where it showed none."""
        if self._transport is None:
            return None
        certificate = self._transport.underlying_transport.get_extra_info("peercert")
        return ssl.cert_time_to_seconds(certificate["notAfter"]) if certificate else None

    # --- inwards: picows calls these -----------------------------------------------------------

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        if transport.is_client_side:  # from now on: at the end, the loop may have no turn left to begin it
            self._farewell = asyncio.get_running_loop().create_task(_see_off(transport))
        transport.underlying_transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock: socket.socket = transport.underlying_transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        self._unwatch = resets.watch(transport.underlying_transport)
        self._handler.connected(self)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            pass  # no extension was agreed on: these bits are wrong in every kind of frame
        elif kind == picows.WSMsgType.BINARY:
            if frame.fin:
                if not transport.is_close_frame_sent:
                    self._handler.message(frame.get_payload_as_memoryview())
                return
        elif kind == picows.WSMsgType.PING:
            if self.writable:  # who asks and does not read is not answered out of our memory
                transport.send_pong(frame.get_payload_as_bytes())
            return
        elif kind == picows.WSMsgType.PONG:
            return
        elif kind == picows.WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(_close_answer(frame))  # type: ignore[arg-type]  # it takes any code
            self._hang_up(transport)
            return
        if not transport.is_close_frame_sent:
            self._handler.violated("something else than a whole binary message")

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._transport = None
        if self._unwatch is not None:
            self._unwatch()
        handshake: picows.picows.WSCloseHandshake | None = transport.close_handshake
        sent = handshake.sent if handshake is not None and handshake.recv is None else None
        if sent is not None and self._said is None and sent.code != picows.WSCloseCode.INTERNAL_ERROR:
            self._handler.violated(sent.reason or "no frame of RFC 6455")  # picows closed, and tells only now
        if handshake is not None and handshake.recv is not None:
            code = cast(int, handshake.recv.code) or None  # picows says 0 where the close names none
            self._handler.closed(code, handshake.recv.reason or "")
        elif self._said is not None:
            self._handler.closed(*self._said)
        else:
            self._handler.closed(None, "")

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._handler.writable()


async def _see_off(transport: picows.WSTransport) -> None:
    """Wait for why a connection that we dialled is given up: picows complains to the loop if nobody does."""
    try:
        await transport.wait_disconnected()
    except picows.WSProtocolError:
        return  # the peer's fault, which the handler was told
    except Exception:  # noqa: BLE001  whatever our own callbacks raised
        _log.exception("a session failed")


def _close_answer(frame: picows.WSFrame) -> int:
    """The code that answers a close: its own, unless picows passed one that RFC 6455 forbids."""
    if not frame.payload_size:
        return NORMAL
    code = cast(int, frame.get_close_code())
    return CloseCode.PROTOCOL if code in _UNSAYABLE or code > LAST_CLOSE_CODE else code


async def serve(
    sock: socket.socket,
    tls: ssl.SSLContext | None,
    accept: Callable[[Upgrade], MessageHandler | Refusal],
    handshake_seconds: float = HANDSHAKE_SECONDS,
) -> asyncio.Server:
    """Listen for WebSockets on a bound socket. TLS, and then the upgrade, may each take `handshake_seconds`.

    `accept` decides each upgrade from memory: it must neither block nor raise.
    """

    def listener(request: picows.WSUpgradeRequest) -> picows.WSUpgradeResponseWithListener:
        try:
            path = request.path.decode("ascii", "replace")
            forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
            answer = accept(Upgrade(path, request.headers, accepted_from.get(), forwarded))
        except Exception:  # noqa: BLE001  picows would send the text of the exception to the peer
            _log.exception("deciding an upgrade failed")
            answer = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR)
        if isinstance(answer, Refusal):
            response = picows.WSUpgradeResponse.create_error_response(
                answer.status, f"{answer.body}\n".encode(), answer.headers
            )
            return picows.WSUpgradeResponseWithListener(response, None)
        response = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": SUBPROTOCOL})
        return picows.WSUpgradeResponseWithListener(response, WebSocket(answer))

    of_tls: dict[str, Any] = {
        "ssl_handshake_timeout": handshake_seconds,
        "ssl_shutdown_timeout": CLOSE_SECONDS,
        "ssl_outgoing_bio_size": ENCRYPTED,
    }
    server = await picows.ws_create_server(
        listener,
        sock=sock,
        ssl=tls,
        backlog=ACCEPTED_AT_ONCE,  # else a crowd is taken in whole before anyone's handshake goes on
        websocket_handshake_timeout=handshake_seconds,
        enable_auto_pong=False,
        max_frame_size=MAX_FRAME,
        read_buffer_init_size=READ_BUFFER,
        use_aiofastnet=True,
        **(of_tls if tls else {}),
    )
    sock.listen(BACKLOG)  # that many may wait
    return server


async def dial(
    url: str, tls: ssl.SSLContext, headers: dict[str, str], handler: MessageHandler, proxy: str | None
) -> WebSocket:
    """Open a WebSocket to `url` (wss), maybe through a proxy (`net/proxy.py`).

    Raises `Refused`, `NotAditus`, `TimeoutError`, and what DNS, TCP, the proxy and TLS raise (`OSError`,
    `ssl.SSLError`, `ProxyFailed`). No redirects are followed: the Authorization header would travel along.
    """

    sockets: list[socket.socket] = []

    async def connected(there: picows.url.WSParsedURL) -> socket.socket:
        if proxy is None:
            sockets.append(await tcp.dial(there.host, there.port))
        else:
            sockets.append(await way_out.dial(proxy, there.host, there.port))
        return sockets[0]

    def listener(_request: picows.WSUpgradeRequest, response: picows.WSUpgradeResponse) -> WebSocket:
        if response.headers.get("Sec-WebSocket-Protocol") != SUBPROTOCOL:
            raise NotAditus(f"the server does not speak {SUBPROTOCOL}")
        return WebSocket(handler)

    try:
        _, websocket = await picows.ws_connect(
            listener,
            url,
            ssl_context=tls,
            extra_headers={**headers, "Sec-WebSocket-Protocol": SUBPROTOCOL},
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            enable_auto_pong=False,
            max_frame_size=MAX_FRAME,
            read_buffer_init_size=READ_BUFFER,
            max_redirects=0,
            socket_factory=connected,
            use_aiofastnet=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=CLOSE_SECONDS,
            ssl_outgoing_bio_size=ENCRYPTED,
        )
    except picows.WSHandshakeError as error:
        await _closed(sockets[0])
        if error.response is None:
            raise NotAditus("the server does not answer in HTTP/1.1") from error
        wanted = says_certificate(int(error.response.status), error.raw_body or b"")
        raise Refused(int(error.response.status), error.response.headers, wanted) from error
    if not isinstance(websocket, WebSocket):  # picows answers (transport, None) when the peer hangs up
        raise HungUp("the connection was closed during the upgrade")
    return websocket


async def _closed(sock: socket.socket) -> None:
    """Hurry picows, which closes it in its own time: a program that ends now is to leave nothing open."""
    with contextlib.suppress(OSError, TimeoutError):  # it is closed, or will be
        sock.shutdown(socket.SHUT_RDWR)
        async with asyncio.timeout(CLOSE_SECONDS):
            while sock.fileno() >= 0:  # noqa: ASYNC110  no event tells: the transport is picows's own
                await asyncio.sleep(0.001)


def says_certificate(status: int, page: bytes) -> bool:
    """Whether an HTTP answer is nginx's that wants a certificate, or another one than ours."""
    return status == HTTPStatus.BAD_REQUEST and b"SSL certificate" in page[:MAX_PAGE]


def format_address(address: tuple[object, ...] | str | None) -> str:
    """A socket address as `host:port`, IPv6 in brackets; empty when there is none."""
    if not isinstance(address, tuple):
        return address or ""
    host, port = str(address[0]), address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
