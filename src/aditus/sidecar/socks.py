"""SOCKS 5 (RFC 1928), the server's side of it, without I/O: CONNECT alone, and without a password.

Our own, as python-socks and socksio are the client's side. A page in a browser cannot get in here: whatever
it makes the browser send begins with an HTTP method or with TLS, and the first byte decides.
"""

import struct
from ipaddress import IPv4Address, IPv6Address

from aditus.sidecar.destination import Asked, Refused
from aditus.wire.errors import Misuse, ResetReason

VERSION, VERSION_4 = 5, 4
NO_AUTHENTICATION, NO_METHOD = 0x00, 0xFF
CONNECT = 1
IPV4, NAME, IPV6 = 1, 3, 4  # kinds of address
SUCCEEDED, FAILED, NOT_ALLOWED, NETWORK_UNREACHABLE, HOST_UNREACHABLE, CONNECTION_REFUSED, TTL_EXPIRED = (
    range(7)
)
COMMAND_NOT_SUPPORTED, ADDRESS_NOT_SUPPORTED = 7, 8

_REPLIES = {
    ResetReason.APP_RESET: FAILED,
    ResetReason.TARGET_RESET: CONNECTION_REFUSED,
    ResetReason.NO_AGENT: NETWORK_UNREACHABLE,
    ResetReason.PORT_NOT_OFFERED: CONNECTION_REFUSED,  # as the listener of an app port that nobody offers
    ResetReason.PORT_NOT_ALLOWED: NOT_ALLOWED,
    ResetReason.ADDRESS_NOT_ALLOWED: NOT_ALLOWED,
    ResetReason.TARGET_REFUSED: CONNECTION_REFUSED,
    ResetReason.TARGET_TIMEOUT: TTL_EXPIRED,  # the nearest to a timeout that there is
    ResetReason.TARGET_UNRESOLVED: HOST_UNREACHABLE,
    ResetReason.REVOKED: NOT_ALLOWED,
    ResetReason.SUSPENDED: NOT_ALLOWED,
    ResetReason.EXPIRED: NOT_ALLOWED,
    ResetReason.NOT_ASSOCIATED: NOT_ALLOWED,
    ResetReason.AGENT_LOST: NETWORK_UNREACHABLE,
    ResetReason.DRAIN: NETWORK_UNREACHABLE,
    ResetReason.LIMIT: FAILED,
    ResetReason.PROTOCOL: FAILED,
    ResetReason.INTERNAL: FAILED,
}

_ANSWER_4 = struct.pack("!BB6x", 0, 0x5B)  # SOCKS 4: rejected or failed


class Socks:
    """A `Conversation`. What is kept of input is less than a greeting (257 bytes) or a request (262)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._out = bytearray()
        self._greeted = self._asked = self._ended = False

    def receive(self, data: bytes) -> Asked | Refused | None:
        """As `Conversation.receive`."""
        if self._asked:
            raise Misuse("bytes of the stream were given to the conversation before it")
        if self._ended:
            return None
        self._buffer += data
        if not self._greeted and (refused := self._greeting()):
            return refused
        return self._request() if self._greeted else None  # a client may say both at once

    def to_send(self) -> bytes:
        """As `Conversation.to_send`."""
        out = bytes(self._out)
        self._out.clear()
        return out

    def accept(self) -> bytes:
        """Success. The address in it is that of the far side, which is nobody's business here: 0.0.0.0:0."""
        return _reply(SUCCEEDED)

    def refuse(self, refused: Refused) -> bytes:
        """The code that is nearest to the reason; SOCKS has no room for a text."""
        return _reply(_REPLIES[refused.reason])

    def _greeting(self) -> Refused | None:
        """Version (1) · number of methods (1) · methods (1 each)."""
        buffer = self._buffer
        if not buffer:
            return None
        if buffer[0] == VERSION_4:
            return self._end(
                _ANSWER_4, "An app spoke SOCKS 4, which is not served here. Let it use SOCKS 5 (socks5h://)."
            )
        if buffer[0] != VERSION:
            return self._end(
                b"",
                "An app spoke something else than SOCKS. Let it use SOCKS 5 (socks5h://), or --http-proxy.",
            )
        if len(buffer) < 2 or len(buffer) < 2 + buffer[1]:
            return None
        methods = buffer[2 : 2 + buffer[1]]
        if NO_AUTHENTICATION not in methods:
            return self._end(
                bytes((VERSION, NO_METHOD)),
                "An app insists on a user and password for SOCKS, which there are none of. Let it use none.",
            )
        del buffer[: 2 + len(methods)]
        self._greeted = True
        self._out += bytes((VERSION, NO_AUTHENTICATION))
        return None

    def _request(self) -> Asked | Refused | None:
        """Version (1) · command (1) · zero (1) · kind of address (1) · address · port (2)."""
        buffer = self._buffer
        if len(buffer) < 5:  # the fifth is the length of a name
            return None
        version, command, zero, kind, length = buffer[:5]
        if version != VERSION or zero:
            return self._end(_reply(FAILED), "An app broke the rules of SOCKS 5. See which client it uses.")
        start = 5 if kind == NAME else 4
        size = {IPV4: 4, NAME: length, IPV6: 16}.get(kind)
        if size is None:
            return self._end(
                _reply(ADDRESS_NOT_SUPPORTED), "An app asked SOCKS for an unknown kind of address."
            )
        if len(buffer) < start + size + 2:
            return None
        if command != CONNECT:
            return self._end(
                _reply(COMMAND_NOT_SUPPORTED),
                "An app asked SOCKS for BIND, UDP or something unknown. Only CONNECT is served.",
            )
        host = _host(kind, bytes(buffer[start : start + size]))
        port = int.from_bytes(buffer[start + size : start + size + 2])
        rest = bytes(buffer[start + size + 2 :])
        buffer.clear()
        self._asked = True
        return Asked(host, port, rest)

    def _end(self, answer: bytes, text: str) -> Refused:
        self._ended = True
        self._buffer.clear()
        self._out += answer
        return Refused(ResetReason.PROTOCOL, text)


def _host(kind: int, address: bytes) -> str:
    if kind == NAME:
        return address.decode("ascii", "replace")  # what is not ASCII is no name of anything here
    return str(IPv4Address(address) if kind == IPV4 else IPv6Address(address))


def _reply(code: int) -> bytes:
    """Version (1) · code (1) · zero (1) · kind of address (1) · address (4) · port (2)."""
    return struct.pack("!BBxB6x", VERSION, code, IPV4)
