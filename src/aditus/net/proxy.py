"""The way through a proxy: HTTP CONNECT, or SOCKS 5. Agents and the doctor go the same one.

The name of the relay is the proxy's to resolve, with either kind. CONNECT is our own: python-socks takes one
read for the whole answer, and what comes later of its head for the first bytes of TLS.
"""

import asyncio
import base64
import os
import socket
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from python_socks import ProxyConnectionError, ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy

from aditus.net import tcp

PROXY_SECONDS = 10.0
"""How long a proxy may take to connect us, its own way to the relay included."""
MAX_HEAD = 16_384  # bytes of the head of its answer


class ProxyFailed(Exception):
    """The proxy could not be used, or did not let us through; the text is half a sentence with it in it.

    `wants_password`: another user and password than those it was given, if any.
    """

    def __init__(self, why: str, *, wants_password: bool = False) -> None:
        super().__init__(why)
        self.wants_password = wants_password


async def dial(proxy: str, host: str, port: int) -> socket.socket:
    """A socket that leads to host:port, through `proxy`: `http://` or `socks5://[user:password@]host:port`.

    Raises `ProxyFailed`.
    """
    connect = _socks if urlsplit(proxy).scheme == "socks5" else _http
    try:
        async with asyncio.timeout(PROXY_SECONDS):
            return await connect(proxy, host, port)
    except TimeoutError:
        raise ProxyFailed(f"the proxy did not connect us within {PROXY_SECONDS:g} s") from None
    except (socket.gaierror, UnicodeError):
        raise ProxyFailed("the name of the proxy has no address") from None
    except OSError as error:
        why = os.strerror(error.errno).lower() if error.errno else "it is not there"
        raise ProxyFailed(f"the proxy cannot be reached: {why}") from error


async def _http(proxy: str, host: str, port: int) -> socket.socket:
    parts = urlsplit(proxy)
    sock = await tcp.dial(parts.hostname or "", parts.port or 0)
    try:
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(credentials.encode()).decode()}")
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode("ascii"))
        head = bytearray()
        while not head.endswith(b"\r\n\r\n"):  # nobody says more before we do
            piece = await loop.sock_recv(sock, MAX_HEAD - len(head)) if len(head) < MAX_HEAD else b""
            if not piece:
                break
            head += piece
            _check_status(head)
        else:
            return sock
        raise ProxyFailed("the proxy closed the connection" if len(head) < MAX_HEAD else _NO_PROXY)
    except BaseException:
        sock.close()
        raise


def _check_status(head: bytearray) -> None:
    line, whole, _ = head.partition(b"\r\n")
    if not whole:
        return
    version, _, rest = line.partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise ProxyFailed(_NO_PROXY)
    if int(status) == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        raise ProxyFailed(_PASSWORD, wants_password=True)
    if not status.startswith(b"2"):
        raise ProxyFailed(f"the proxy does not let us through: HTTP {int(status)}")


async def _socks(proxy: str, host: str, port: int) -> socket.socket:
    parts = urlsplit(proxy)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    through = Proxy(ProxyType.SOCKS5, parts.hostname or "", parts.port or 0, user, password, rdns=True)
    try:
        return await through.connect(dest_host=host, dest_port=port, timeout=PROXY_SECONDS)
    except ProxyConnectionError as error:
        raise error.__cause__ or error from None
    except ProxyError as error:
        if str(error).endswith(_PASSWORD_REFUSED):  # it has numbers for refusals of a connection alone
            raise ProxyFailed(_PASSWORD, wants_password=True) from None
        raise ProxyFailed(f"the proxy does not let us through: {str(error).lower()}") from None


_PASSWORD = "the proxy asks for another user and password"
_PASSWORD_REFUSED = ("authentication failure", "authentication methods were offered")
_NO_PROXY = "what answers at the proxy's address is no HTTP proxy"
