"""Where a proxy of the sidecar leads, and the shape of a conversation in which an app asks for it.

Only to app ports that the app reaches now. Their names, in the order in which they are looked up:

- `localhost`, `127.0.0.1`, `::1` with an app port as the port: so the sidecar's own listeners are called.
  It is for clients that resolve names themselves, who can say no other. First, so that no alias can take
  these names.
- an alias of a spec, in any case, with or without the trailing dot. The port beside it is not looked at: an
  alias names one app port by itself, and what stands beside it may be anything. `http://orders/` says 80, a
  driver the usual port of its service, people the port that the service has behind the agent. None of it
  widens what is reached.
- the app port as a number in the host's place, for the same reason with any port: `http://5432/`. curl and
  browsers write such a number as an address before they ask: 5432 as 0.0.21.56. No host has an address in
  0.0.0.0/16, so that it can mean nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from typing import Protocol

from aditus.wire.errors import ResetReason

MAX_HOST = 255
"""Characters of a host: what SOCKS can say, and DNS has room for."""
MAX_PORT = 65_535
LISTED = 16
"""Ports that a refusal names: more than most apps reach, and still a short text."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Asked:
    """The app wants `host`:`port` (0-65535). `rest` is what it said after that already."""

    host: str
    port: int
    rest: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not reached, for this reason; `text` is for people, and has nothing in it that the app said."""

    reason: ResetReason
    text: str


class Conversation(Protocol):
    """What an app and a proxy say to each other before the first byte of the stream, without I/O.

    For each piece read: `receive`, then send `to_send()`. After `Refused`, close then. After `Asked`, read no
    more until it is known what becomes of the stream: then send `accept()` and carry `rest` and all that
    follows, or send `refuse()` and close.
    """

    def receive(self, data: bytes) -> Asked | Refused | None:
        """What `data` (any bytes, any split) comes to, or None while more is needed, and after the end.

        What is kept of it is bounded. Raises `Misuse` when something was asked already.
        """

    def to_send(self) -> bytes:
        """What is to be sent now, given out once; often nothing."""

    def accept(self) -> bytes:
        """The answer after which the connection is the stream's."""

    def refuse(self, refused: Refused) -> bytes:
        """The answer after which the connection is closed."""


def destination(host: str, port: int, ports: frozenset[int], aliases: Mapping[str, int]) -> int | Refused:
    """The app port, one of `ports`, that an app means by `host`:`port`. `aliases` are in lower case."""
    name = host.removesuffix(".").lower() if host.isascii() and len(host) <= MAX_HOST else ""
    if name in _LOOPBACK:
        meant = port
    elif name in aliases:
        meant = aliases[name]
    else:
        meant = _number(name)
    if meant in ports:
        return meant
    reason = ResetReason.PORT_NOT_OFFERED if meant else ResetReason.ADDRESS_NOT_ALLOWED
    return Refused(reason, _reachable(ports, aliases))


def _number(name: str) -> int:
    """The port that stands in a host's place, or 0. One form alone: no sign, no zeros before it."""
    try:
        number = int(IPv4Address(name))
    except AddressValueError:
        number = int(name) if name.isdecimal() and len(name) <= 5 and name[0] != "0" else 0
    return number if number <= MAX_PORT else 0


def _reachable(ports: frozenset[int], aliases: Mapping[str, int]) -> str:
    if not ports:
        return (
            "No agent offers this app a port now. See whether the app is associated with an access key, and "
            "whether an agent of that key is connected."
        )
    names = {port: f"{port} ({alias})" for alias, port in aliases.items()}
    listed = [names.get(port, str(port)) for port in sorted(ports)[:LISTED]]
    more = f" and {len(ports) - LISTED} more" if len(ports) > LISTED else ""
    return (
        "This proxy leads only to app ports that agents offer this app now, by number or alias: "
        f"{', '.join(listed)}{more}. Ask for one of these."
    )
