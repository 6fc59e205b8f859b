"""Where a program listens: `host:port`, IPv6 in brackets, or `off`."""

import ipaddress
import re
from dataclasses import dataclass

from aditus.domain.errors import AditusError, invalid

OFF = "off"
MAX_HOST = 253  # characters; what DNS allows
MAX_PORT = 65535

_ADDRESS = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*):(?P<port>[0-9]{1,5})", re.ASCII)
_NAME = re.compile(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or address, IPv6 without brackets) and a port, 0 to 65535; 0: any that is free."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str = "The address") -> "Address":
        """Read `127.0.0.1:8443` or `[::1]:8443`. Raises `AditusError` (invalid) about `option`, no echo."""
        found = _ADDRESS.fullmatch(text.strip())
        if not found or int(found["port"]) > MAX_PORT:
            raise _refuse(option, f"is not host:port with a port from 0 to {MAX_PORT}")
        return cls(_host(found["host"], option), int(found["port"]))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False  # a name: it may lead anywhere

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_optional(text: str, option: str) -> Address | None:
    """As `Address.parse`; None for `off`."""
    return None if text.strip() == OFF else Address.parse(text, option)


def parse_host(text: str, option: str) -> str:
    """A host to listen on, without a port; IPv6 with or without brackets. Raises as `Address.parse`."""
    text = text.strip()
    return _host(f"[{text}]" if ":" in text and not text.startswith("[") else text, option)


def _host(text: str, option: str) -> str:
    if text.startswith("["):
        try:
            return str(ipaddress.IPv6Address(text[1:-1] if text.endswith("]") else text))
        except ValueError:
            raise _refuse(option, "has no IPv6 address in its brackets") from None
    if not text:
        raise _refuse(option, "has no host; every address of this machine would be 0.0.0.0 or [::]")
    if len(text) > MAX_HOST or not _NAME.fullmatch(text):
        raise _refuse(option, "has a host that is neither an address nor a host name")
    return text.lower()


def _refuse(option: str, why: str) -> AditusError:
    return invalid(
        "bad-address",
        f"{option} {why}.",
        remedy="Write it like 127.0.0.1:8443, localhost:8443 or [::1]:8443.",
        field=option.removeprefix("--").replace("-", "_"),
    )
