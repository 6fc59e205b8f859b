"""Specs: what an agent offers, as people write it: `appPort:host:port`, or `host:port` for the same port."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aditus.domain.errors import AditusError, invalid

MAX_HOST = 253  # characters; what DNS allows
MAX_TEXT = 300  # characters looked at
MAX_PORT = 65535

_SPEC = re.compile(r"(?:(?P<app>[^:\[\]]*):)?(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[^:\[\]]*)")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_ZONE = re.compile(r"[0-9A-Za-z._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spec:
    """One offered service: apps reach `host:port` of the private network as `app_port`. Ports are 1 to 65535.

    `host` is a name or an address, IPv6 without brackets. `str()` gives the three-part form.
    """

    app_port: int
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.app_port}:{host}:{self.port}"


def parse_spec(text: str) -> Spec:
    """Read one spec. Raises `AditusError` (invalid) that says which part is wrong, without echo."""
    if len(text) > MAX_TEXT:
        raise _refuse(f"A spec has at most {MAX_TEXT} characters.")
    found = _SPEC.fullmatch(text)
    if not found:
        raise _refuse("A spec has two or three parts joined by ':', and an IPv6 address stands in brackets.")
    port = _port(found["port"], "port")
    app_port = port if found["app"] is None else _port(found["app"], "app port (the first part)")
    return Spec(app_port, _host(found["host"]), port)


def parse_specs(texts: Iterable[str]) -> tuple[Spec, ...]:
    """Read several specs, in order. Raises as `parse_spec`, and when two have the same app port."""
    specs: dict[int, Spec] = {}
    for spec in map(parse_spec, texts):
        if spec.app_port in specs:
            raise invalid(
                "duplicate-app-port",
                f"Two specs have the app port {spec.app_port}; an app could not tell them apart.",
                remedy="Give one of them another app port: appPort:host:port.",
                field="spec",
            )
        specs[spec.app_port] = spec
    return tuple(specs.values())


def _port(text: str, what: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= MAX_PORT:
        raise _refuse(f"The {what} is a number from 1 to {MAX_PORT}.")
    return int(text)


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    if not text:
        raise _refuse("The host is missing.")
    if len(text) > MAX_HOST:
        raise _refuse(f"The host has at most {MAX_HOST} characters.")
    if "@" in text:
        raise _refuse("A spec has no user name; the app sends its own through the tunnel.")
    if not all(char.isalnum() or char in "-._" for char in text):
        raise _refuse("The host has a character that neither a host name nor an address has.")
    if text.isdigit():
        raise _refuse("The host is a mere number; was a part left out?")
    return text


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise _refuse("The part in brackets is not an IPv6 address.") from None
    if address.scope_id is not None and not _ZONE.fullmatch(address.scope_id):
        raise _refuse("The zone of the IPv6 address (after '%') is not a name of an interface.")
    return str(address)


def _refuse(message: str) -> AditusError:
    return invalid(
        "bad-spec",
        message,
        remedy="Write appPort:host:port or host:port, for example 5432:db.internal:5432 or [::1]:6379.",
        field="spec",
    )
