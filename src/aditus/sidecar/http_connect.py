"""HTTP CONNECT (RFC 9110, 9.3.6), the server's side of it, without I/O. Heads are read by h11.

A page in a browser on this machine gets nothing here. It can send GET, POST and the like to any port of
loopback, by DNS rebinding even as an origin of its own, and then reads the answer; but no page can send
CONNECT. So whatever is not CONNECT gets one fixed text, with nothing of ours in it and no word of CORS, and
is closed: what stands in its body is never read as another request. Host and Origin decide nothing,
therefore: a rebound page has the Host that it likes, and a browser that was told to use this proxy sends
CONNECT without an Origin. The target alone decides, and leads to nothing but what the app reaches anyway.
"""

import re
from http import HTTPStatus

import h11

from aditus.sidecar.destination import MAX_PORT, Asked, Refused
from aditus.wire.errors import Misuse, ResetReason

MAX_HEAD = 8192
"""Bytes of the request and its empty line: what web servers allow. A usual one has 200."""

_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", re.ASCII)

_ANSWERS = {
    ResetReason.APP_RESET: (HTTPStatus.BAD_GATEWAY, "The connection was given up. Try again."),
    ResetReason.TARGET_RESET: (HTTPStatus.BAD_GATEWAY, "The service reset the connection. See its log."),
    ResetReason.NO_AGENT: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "No agent is connected. Start one, or wait for it.",
    ),
    ResetReason.PORT_NOT_OFFERED: (
        HTTPStatus.SERVICE_UNAVAILABLE,
        "No agent offers this app port now. See which specs the agent has.",
    ),
    ResetReason.PORT_NOT_ALLOWED: (
        HTTPStatus.FORBIDDEN,
        "The rules of the access key do not allow this port. Ask who manages the key.",
    ),
    ResetReason.ADDRESS_NOT_ALLOWED: (
        HTTPStatus.FORBIDDEN,
        "The rules do not allow this address. Ask who manages the access key.",
    ),
    ResetReason.TARGET_REFUSED: (
        HTTPStatus.BAD_GATEWAY,
        "The service behind the agent refused the connection. See whether it runs.",
    ),
    ResetReason.TARGET_TIMEOUT: (
        HTTPStatus.GATEWAY_TIMEOUT,
        "The service behind the agent did not answer in time. See whether the agent can reach it.",
    ),
    ResetReason.TARGET_UNRESOLVED: (
        HTTPStatus.BAD_GATEWAY,
        "The name of the service has no address where the agent runs. See the agent's spec.",
    ),
    ResetReason.REVOKED: (HTTPStatus.FORBIDDEN, "The access key is revoked. Associate the app with another."),
    ResetReason.SUSPENDED: (HTTPStatus.FORBIDDEN, "The access key is suspended. Ask who manages it."),
    ResetReason.EXPIRED: (
        HTTPStatus.FORBIDDEN,
        "The access key has expired. Associate the app with another.",
    ),
    ResetReason.NOT_ASSOCIATED: (
        HTTPStatus.FORBIDDEN,
        "The app is not associated with the access key of this port. Associate it.",
    ),
    ResetReason.AGENT_LOST: (HTTPStatus.SERVICE_UNAVAILABLE, "The agent was lost just now. Try again."),
    ResetReason.DRAIN: (HTTPStatus.SERVICE_UNAVAILABLE, "The relay is about to stop. Try again."),
    ResetReason.LIMIT: (HTTPStatus.SERVICE_UNAVAILABLE, "There are too many connections. Try again later."),
    ResetReason.PROTOCOL: (
        HTTPStatus.BAD_GATEWAY,
        "The other side broke the protocol. See the sidecar's log.",
    ),
    ResetReason.INTERNAL: (HTTPStatus.BAD_GATEWAY, "Something failed on the way. See the sidecar's log."),
}


class HttpConnect:
    """A `Conversation`. What is kept of input is at most `MAX_HEAD`."""

    def __init__(self) -> None:
        # h11 raises when an unfinished head is *over* its limit, and we never give it more than MAX_HEAD.
        self._head = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD - 1)
        self._room = MAX_HEAD
        self._out = b""
        self._asked = self._ended = False

    def receive(self, data: bytes) -> Asked | Refused | None:
        """As `Conversation.receive`."""
        if self._asked:
            raise Misuse("bytes of the stream were given to the conversation before it")
        if self._ended or not data:
            return None
        given, beyond = data[: self._room], data[self._room :]
        self._room -= len(given)
        try:
            self._head.receive_data(given)
            event = self._head.next_event()
        except h11.RemoteProtocolError as error:
            if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                return self._end(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The head of the request is over {MAX_HEAD} bytes. Send fewer headers to a proxy.",
                )
            return self._bad_request()
        if not isinstance(event, h11.Request):
            return None
        if event.method != b"CONNECT":
            return self._end(
                HTTPStatus.METHOD_NOT_ALLOWED,
                "This proxy carries connections, not requests: it serves only CONNECT. "
                "With curl, add --proxytunnel; or use https, or SOCKS 5, or the app port itself.",
                "Allow: CONNECT",
            )
        target = _AUTHORITY.fullmatch(event.target.decode("ascii"))
        # A body before the tunnel is forbidden, and two would differ about where the stream begins.
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in event.headers)
        if not target or has_body or int(target[3]) > MAX_PORT:
            return self._bad_request()
        self._asked = True
        return Asked(target[1] or target[2], int(target[3]), self._head.trailing_data[0] + beyond)

    def to_send(self) -> bytes:
        """As `Conversation.to_send`."""
        out, self._out = self._out, b""
        return out

    def accept(self) -> bytes:
        """200, after which no header may say anything of a body."""
        return b"HTTP/1.1 200 Connection established\r\n\r\n"

    def refuse(self, refused: Refused) -> bytes:
        """The status that is nearest to the reason, its token, and its text or else the usual one."""
        status, usual = _ANSWERS[refused.reason]
        return _answer(status, f"{refused.reason.token}: {refused.text or usual}")

    def _bad_request(self) -> Refused:
        return self._end(
            HTTPStatus.BAD_REQUEST,
            "This is no request that an HTTP proxy understands. Ask for CONNECT <app port or alias>:<port>.",
        )

    def _end(self, status: HTTPStatus, text: str, *headers: str) -> Refused:
        self._ended = True
        self._out = _answer(status, text, *headers)
        return Refused(ResetReason.PROTOCOL, f"An app's request to the HTTP proxy was refused: {text}")


def in_words(reason: ResetReason) -> str:
    """The reason's token, what it means, and what to do."""
    return f"{reason.token}: {_ANSWERS[reason][1]}"


def _answer(status: HTTPStatus, text: str, *headers: str) -> bytes:
    body = f"{text}\n".encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
