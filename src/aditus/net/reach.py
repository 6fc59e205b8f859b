"""Reaching a relay step by step, to say which step fails: name, proxy, TCP, TLS, or what answers there.

For diagnosis alone. Agents dial by `net/ws`, in one go.
"""

import asyncio
import email.message
import http.client
import io
import os
import socket
import ssl
import time
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, cast

from aditus.net import proxy as way_out
from aditus.net import tcp
from aditus.net.proxy import ProxyFailed
from aditus.net.tls import refuses_ours, says_time
from aditus.net.ws import format_address, says_certificate

STEP_SECONDS = 10.0
MAX_ANSWER = 16_384  # bytes of the head of an answer


class Step(StrEnum):
    """In the order in which they are taken. `PROXY` is there only where there is one, `NAME` only without."""

    NAME = "name"
    PROXY = "proxy"
    TCP = "tcp"
    TLS = "tls"
    ANSWER = "answer"


class Stuck(Exception):
    """A step that was not taken, and why, as half a sentence without user or password."""

    def __init__(self, step: Step, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step
        self.why = why

    @property
    def wants_certificate(self) -> bool:
        """Whether it is for want of a client certificate that is trusted there."""
        return isinstance(self.__cause__, ssl.SSLError) and refuses_ours(self.__cause__)

    @property
    def is_about_time(self) -> bool:
        """Whether it is the clock of this machine, or a certificate that is not valid now."""
        return isinstance(self.__cause__, ssl.SSLCertVerificationError) and bool(says_time(self.__cause__))


@dataclass(frozen=True, slots=True)
class Reached:
    """What a plain `GET` met on its way. Times are in milliseconds, dates in Unix seconds."""

    peer: str  # address and port that were connected to: the relay's or the proxy's
    connect_ms: float
    tls_ms: float
    tls_version: str
    certificate_ends_at: float
    certificate_issuer: str
    status: int
    headers: email.message.Message  # of the answer; names in any case
    answered_at: float  # by our clock
    wants_certificate: bool  # as `net/ws.Refused` has it


async def reach(host: str, port: int, path: str, tls: ssl.SSLContext, proxy: str | None = None) -> Reached:
    """Ask for `path` there, over TLS. Raises `Stuck`. Each step may take `STEP_SECONDS`."""
    sock, connect_ms = await (_through(host, port, proxy) if proxy else _directly(host, port))
    peer = sock.getpeername()
    try:
        began = time.monotonic()
        reader, writer = await _step(
            Step.TLS, asyncio.open_connection(sock=sock, ssl=tls, server_hostname=host, limit=MAX_ANSWER)
        )
    except BaseException:
        sock.close()
        raise
    try:
        tls_ms = (time.monotonic() - began) * 1000
        secured = cast(ssl.SSLObject, writer.get_extra_info("ssl_object"))
        certificate = cast(dict[str, Any], secured.getpeercert())
        named = f"[{host}]" if ":" in host else host
        request = f"GET {path} HTTP/1.1\r\nHost: {named}:{port}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode("ascii"))
        head = await _step(Step.ANSWER, reader.readuntil(b"\r\n\r\n"))
        status, headers = _parsed(head)
        page = await _step(Step.ANSWER, reader.read(MAX_ANSWER)) if status == HTTPStatus.BAD_REQUEST else b""
    finally:
        writer.transport.abort()
    return Reached(
        peer=format_address(peer),
        connect_ms=connect_ms,
        tls_ms=tls_ms,
        tls_version=secured.version() or "",
        certificate_ends_at=ssl.cert_time_to_seconds(certificate["notAfter"]),
        certificate_issuer=_common_name(certificate.get("issuer", ())),
        status=status,
        headers=headers,
        answered_at=time.time(),
        wants_certificate=says_certificate(status, page),
    )


async def _directly(host: str, port: int) -> tuple[socket.socket, float]:
    loop = asyncio.get_running_loop()
    await _step(Step.NAME, loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    began = time.monotonic()
    sock = await _step(Step.TCP, tcp.dial(host, port))
    return sock, (time.monotonic() - began) * 1000


async def _through(host: str, port: int, proxy: str) -> tuple[socket.socket, float]:
    began = time.monotonic()
    sock = await _step(Step.PROXY, way_out.dial(proxy, host, port))
    return sock, (time.monotonic() - began) * 1000


async def _step(step: Step, work: Any) -> Any:
    try:
        async with asyncio.timeout(STEP_SECONDS):
            return await work
    except (
        OSError,  # of TimeoutError, socket.gaierror and ssl.SSLError too
        EOFError,
        asyncio.LimitOverrunError,
        UnicodeError,
        ProxyFailed,
    ) as error:
        raise Stuck(step, _why(error)) from error


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {says_time(error) or error.verify_message}"
    if isinstance(error, ssl.SSLError) and refuses_ours(error):
        return "it wants a client certificate that it trusts"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason given'})"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the name has no address"
    if isinstance(error, TimeoutError):
        return f"no answer within {STEP_SECONDS:g} s"
    if isinstance(error, ProxyFailed):
        return str(error)
    if isinstance(error, asyncio.LimitOverrunError):
        return "the answer has no end"
    if isinstance(error, EOFError):
        return "the connection was closed"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else "it is not there"


def _parsed(head: bytes) -> tuple[int, email.message.Message]:
    line, _, rest = head.partition(b"\r\n")
    try:
        version, status = line.split(b" ")[:2]
        if not version.startswith(b"HTTP/1."):
            raise ValueError
        return int(status), http.client.parse_headers(io.BytesIO(rest))
    except (ValueError, http.client.HTTPException) as error:
        raise Stuck(Step.ANSWER, "what answers does not speak HTTP") from error


def _common_name(names: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    values = {name: value for part in names for name, value in part}
    return values.get("commonName") or values.get("organizationName") or "nobody"
