"""Connect URLs and relay URLs as values: where agents dial, in one normal form.

`https://` and `wss://` mean the same and the normal form is `wss`, without port 443, with the host in
lower case. Plain `http` and `ws` are refused: a proof of a secret does not travel in the clear.
"""

import ipaddress
import re
from dataclasses import dataclass

from aditus.domain.errors import AditusError, invalid

DEFAULT_PORT = 443
MAX_TEXT = 512  # characters looked at
MAX_HOST = 253  # characters; what DNS allows
MAX_PORT = 65535
MAX_CONNECT_ID = 64  # digits; ours have 22, later ones may have more

_URL = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<host>\[[^\[\]/]*\]|[^:\[\]/]*)(?::(?P<port>[^:/]*))?(?P<path>/.*)?"
)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_PORT = re.compile(r"[0-9]{1,5}", re.ASCII)
_CONNECT_PATH = re.compile(rf"/connect(?:/([0-9A-Za-z]{{1,{MAX_CONNECT_ID}}}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RelayUrl:
    """A relay by one of its public names. `host` is lower case, IPv6 without brackets; port 1 to 65535."""

    host: str
    port: int = DEFAULT_PORT

    @property
    def audience(self) -> str:
        """`host[:port]` as proofs name it (`aud`), IPv6 in brackets, without port 443."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORT else f"{host}:{self.port}"

    def connect(self, connect_id: str = "") -> "ConnectUrl":
        """The Connect URL with this id here; without one, `/connect`, where the key_id finds the rest."""
        return ConnectUrl(self, connect_id)

    def __str__(self) -> str:
        return f"wss://{self.audience}"


@dataclass(frozen=True, slots=True)
class ConnectUrl:
    """Where agents with one key dial at one relay. `connect_id` is empty for plain `/connect`."""

    relay: RelayUrl
    connect_id: str = ""

    @classmethod
    def parse(cls, text: str) -> "ConnectUrl":
        """Read `wss://host[:port]/connect[/<id>]`. Raises `AditusError` (invalid) without echo."""
        relay, path = _parse(text, "connect_url", "A Connect URL")
        found = _CONNECT_PATH.fullmatch(path)
        if not found:
            raise _refuse("connect_url", "A Connect URL ends in /connect/ and an id of letters and digits.")
        return cls(relay, found[1] or "")

    @property
    def host(self) -> str:
        return self.relay.host

    @property
    def port(self) -> int:
        return self.relay.port

    @property
    def audience(self) -> str:
        """As `RelayUrl.audience`."""
        return self.relay.audience

    @property
    def path(self) -> str:
        """What is asked of the relay: `/connect/<id>`, or `/connect`."""
        return f"/connect/{self.connect_id}" if self.connect_id else "/connect"

    def at(self, relay: RelayUrl) -> "ConnectUrl":
        """The same connect id at another relay of the region."""
        return ConnectUrl(relay, self.connect_id)

    def __str__(self) -> str:
        return f"{self.relay}{self.path}"


def parse_relay_url(text: str) -> RelayUrl:
    """Read `wss://host[:port]`, with or without a last slash. Raises `AditusError` (invalid) without echo."""
    relay, path = _parse(text, "relay_url", "A relay URL")
    if path not in ("", "/"):
        raise _refuse("relay_url", "A relay URL has no path: it is wss://host or wss://host:port.")
    return relay


def _parse(text: str, field: str, what: str) -> tuple[RelayUrl, str]:
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise _refuse(field, f"{what} has at most {MAX_TEXT} characters.")
    if "@" in text:
        raise _refuse(field, f"{what} has no user name or password; the access key is proof enough.")
    found = _URL.fullmatch(text)
    if not found:
        raise _refuse(
            field, f"{what} is wss://host or wss://host:port and a path; an IPv6 address stands in brackets."
        )
    scheme = found["scheme"].lower()
    if scheme in ("http", "ws"):
        raise _refuse(field, f"{what} begins with wss:// or https://; in the clear, nothing is sent.")
    if scheme not in ("https", "wss"):
        raise _refuse(field, f"{what} begins with wss:// or https://.")
    if "?" in text or "#" in text:
        raise _refuse(field, f"{what} has neither a query (?) nor a fragment (#).")
    port = DEFAULT_PORT if found["port"] is None else _port(found["port"], field)
    return RelayUrl(_host(found["host"].lower(), field), port), found["path"] or ""


def _port(text: str, field: str) -> int:
    if not _PORT.fullmatch(text) or not 1 <= int(text) <= MAX_PORT:
        raise _refuse(field, f"The port is a number from 1 to {MAX_PORT}.")
    return int(text)


def _host(text: str, field: str) -> str:
    if text.startswith("["):
        try:
            address = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise _refuse(field, "The part in brackets is not an IPv6 address.") from None
        if address.scope_id is not None:
            raise _refuse(field, "The IPv6 address of a relay has no zone ('%'): others could not dial it.")
        return str(address)
    if len(text) > MAX_HOST or not _HOST.fullmatch(text):
        raise _refuse(
            field, "The host is not a host name or address (for other alphabets, write its xn-- form)."
        )
    return text


def _refuse(field: str, message: str) -> AditusError:
    return invalid(
        "bad-url", message, remedy="Copy it from the page or the answer that showed it.", field=field
    )
