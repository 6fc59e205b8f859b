"""Specs: what an agent offers, as people write it: `appPort:host:port`, or `host:port` for the same port.

Options follow after commas: `5432:db.internal:5432,proxy-protocol,probe=30,alias=orders`.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from aditus.domain.errors import AditusError, invalid

MAX_HOST = 253  # characters; what DNS allows
MAX_TEXT = 300  # characters looked at
MAX_PORT = 65535
PROXY_PROTOCOL = "proxy-protocol"
PROBE = "probe"
MIN_PROBE = 5  # seconds between two probes
MAX_PROBE = 86_400
ALIAS = "alias"
MAX_ALIASES = 256  # of one agent: with 1,024 ports they still fit into one frame

_SPEC = re.compile(r"(?:(?P<app>[^:\[\]]*):)?(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[^:\[\]]*)")
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,5}", re.ASCII)
_ALIAS = re.compile(r"[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_ZONE = re.compile(r"[0-9A-Za-z._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spec:
    """One offered service: apps reach `host:port` of the private network as `app_port`. Ports are 1 to 65535.

    `host` is a name or an address, IPv6 without brackets. `str()` gives the text, in three parts.
    """

    app_port: int
    host: str
    port: int
    proxy_protocol: bool = False
    """Tell the service the app's address, by a PROXY protocol header (version 2) before all else."""
    probe_seconds: int | None = None
    """How often to try whether the service answers; None: only apps do."""
    alias: str = ""
    """Another name of the app port, for apps that ask a sidecar's proxy for it."""

    @property
    def target(self) -> tuple[str, int]:
        """What is dialled."""
        return self.host, self.port

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = [PROXY_PROTOCOL] if self.proxy_protocol else []
        if self.probe_seconds is not None:
            options.append(f"{PROBE}={self.probe_seconds}")
        if self.alias:
            options.append(f"{ALIAS}={self.alias}")
        return ",".join([f"{self.app_port}:{host}:{self.port}", *options])


def parse_spec(text: str) -> Spec:
    """Read one spec. Raises `AditusError` (invalid) that says which part is wrong, without echo."""
    if len(text) > MAX_TEXT:
        raise _refuse(f"A spec has at most {MAX_TEXT} characters.")
    address, *options = text.split(",")
    found = _SPEC.fullmatch(address)
    if not found:
        raise _refuse("A spec has two or three parts joined by ':', and an IPv6 address stands in brackets.")
    port = _port(found["port"], "port")
    app_port = port if found["app"] is None else _port(found["app"], "app port (the first part)")
    return Spec(app_port, _host(found["host"]), port, *_options(options))


def parse_specs(texts: Iterable[str]) -> tuple[Spec, ...]:
    """Read several specs, in order. Raises as `parse_spec`, and when two have the same app port or alias."""
    specs: dict[int, Spec] = {}
    aliases: set[str] = set()
    for spec in map(parse_spec, texts):
        if spec.app_port in specs:
            raise invalid(
                "duplicate-app-port",
                f"Two specs have the app port {spec.app_port}; an app could not tell them apart.",
                remedy="Give one of them another app port: appPort:host:port.",
                field="spec",
            )
        if spec.alias in aliases:
            raise _refuse_alias("Two specs have the same alias; an app could not tell them apart.")
        if spec.alias:
            aliases.add(spec.alias)
        specs[spec.app_port] = spec
    if len(aliases) > MAX_ALIASES:
        raise _refuse_alias(f"An agent has at most {MAX_ALIASES} aliases.")
    return tuple(specs.values())


def _port(text: str, what: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= MAX_PORT:
        raise _refuse(f"The {what} is a number from 1 to {MAX_PORT}.")
    return int(text)


def is_alias(text: str) -> bool:
    """Whether this can be an alias: 1 to 32 of a-z, 0-9 and -, as a part of a host name, from a letter on."""
    return _ALIAS.fullmatch(text) is not None


def _options(texts: list[str]) -> tuple[bool, int | None, str]:
    """Whether the PROXY protocol is spoken, the seconds between two probes, the alias."""
    proxy_protocol, probe, alias = False, None, ""
    for text in texts:
        name, equals, value = text.partition("=")
        if text == PROXY_PROTOCOL and not proxy_protocol:
            proxy_protocol = True
        elif name == PROBE and equals and probe is None:
            if not _SECONDS.fullmatch(value) or not MIN_PROBE <= int(value) <= MAX_PROBE:
                raise _refuse(
                    f"{PROBE} is how often the service is tried: {MIN_PROBE} to {MAX_PROBE} seconds."
                )
            probe = int(value)
        elif name == ALIAS and equals and not alias:
            if not is_alias(value):
                raise _refuse(f"{ALIAS} is 1 to 32 of a-z, 0-9 and -, beginning with a letter.")
            alias = value
        else:
            raise _refuse(
                "After the address there is an option that is unknown, or there twice;"
                f" there are {PROXY_PROTOCOL}, {PROBE}=SECONDS and {ALIAS}=NAME."
            )
    return proxy_protocol, probe, alias


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


def _refuse_alias(message: str) -> AditusError:
    remedy = "Leave one of them out, or choose another name: 5432:db.internal:5432,alias=orders."
    return invalid("bad-alias", message, remedy=remedy, field="spec")


def _refuse(message: str) -> AditusError:
    return invalid(
        "bad-spec",
        message,
        remedy="Write appPort:host:port or host:port, for example 5432:db.internal:5432 or [::1]:6379.",
        field="spec",
    )
