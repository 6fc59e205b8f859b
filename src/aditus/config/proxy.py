"""Through which proxy a relay is dialled: the one that is named, else the environment's, as curl reads it."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import unquote, urlsplit

from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText

DEFAULT_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxies, and their ports where none is said. A name is the proxy's to resolve, always."""
MAX_SOCKS_WORD = 255  # bytes of user or password, which are ASCII there
VARIABLES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
"""The first that is set counts."""
EXCEPT_VARIABLES = ("no_proxy", "NO_PROXY")
OFF = "off"
"""As `--proxy`: none, whatever the environment says."""
MAX_EXCEPTIONS = 1_000  # entries that are looked at

_SEPARATOR = re.compile(r"[\s,]+")


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and who named it: `--proxy` or a variable."""

    url: SecretText  # `http://` or `socks5://`, with a port; there may be a password in it
    source: str

    @property
    def shown(self) -> str:
        """Its address without user and password."""
        parts = urlsplit(self.url.reveal())
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port is not None else "")


def proxy_for(relay: RelayUrl, named: str | None, surroundings: Surroundings) -> Proxy | None:
    """The proxy on the way to this relay; None: it is dialled directly.

    `named` is the option, which counts for every relay. By a variable, no proxy is asked for what is on this
    machine. Raises `AditusError` (invalid), without echo.
    """
    if named is not None:
        return None if named == OFF else Proxy(_checked(named, "--proxy"), "--proxy")
    source = next((name for name in VARIABLES if surroundings.variable(name)), None)
    if source is None or _is_here(relay) or is_excepted(relay, _first(EXCEPT_VARIABLES, surroundings)):
        return None
    text = surroundings.variable(source)
    return Proxy(_checked(text if "://" in text else f"http://{text}", source), source)


def is_excepted(relay: RelayUrl, exceptions: str) -> bool:
    """Whether `exceptions`, as in NO_PROXY, names this relay: `*`, a host or domain, an address, a network.

    A domain stands for its subdomains too, with or without a dot in front. An entry with a port is for
    that port alone. What is no entry at all excepts nothing.
    """
    host = relay.host.rstrip(".").lower()
    address = _address(host)
    entries = [entry for entry in _SEPARATOR.split(exceptions.lower()) if entry][:MAX_EXCEPTIONS]
    return any(_names(entry, host, address, relay.port) for entry in entries)


def _names(entry: str, host: str, address: IPv4Address | IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    name, colon, wanted = entry.rpartition(":")
    if colon and wanted.isdecimal() and (name.endswith("]") or ":" not in name):
        if wanted.lstrip("0") != str(port):
            return False
        entry = name
    entry = entry.strip("[]")
    if address is not None:
        try:
            return address in ip_network(entry, strict=False)
        except ValueError:
            return False
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_here(relay: RelayUrl) -> bool:
    address = _address(relay.host)
    return relay.host.rstrip(".") == "localhost" or (address is not None and address.is_loopback)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _first(names: tuple[str, ...], surroundings: Surroundings) -> str:
    return next((text for name in names if (text := surroundings.variable(name))), "")


def _checked(text: str, source: str) -> SecretText:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # a port that is no number, a bracket without the other
        raise _bad(source) from None
    if parts.scheme == "https":
        raise _bad(source, " Agents speak no TLS with the proxy itself; what passes has its own.")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or port == 0 or not text.isascii():
        raise _bad(source)
    for word in (unquote(parts.username or ""), unquote(parts.password or "")):
        if parts.scheme != "http" and not (word.isascii() and len(word) <= MAX_SOCKS_WORD):
            raise _bad(source, f" For SOCKS, user and password are at most {MAX_SOCKS_WORD} ASCII letters.")
    scheme = "http" if parts.scheme == "http" else "socks5"
    netloc = parts.netloc.removesuffix(":") + (f":{DEFAULT_PORTS[scheme]}" if port is None else "")
    return SecretText(f"{scheme}://{netloc}")


def _bad(source: str, why: str = "") -> AditusError:
    return invalid(
        "bad-proxy",
        f"{source} is not scheme://[user:password@]host:port with one of {', '.join(DEFAULT_PORTS)}.{why}",
        remedy=f"For example {source}{'=' if source != '--proxy' else ' '}http://proxy.example.com:3128;"
        f" in user and password, write what is special there as %XX. To use no proxy: --proxy {OFF}.",
        field="proxy",
    )
