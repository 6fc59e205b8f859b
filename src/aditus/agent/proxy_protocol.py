"""The PROXY protocol, version 2: what a service is told of the app's address before the app's first byte.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
"""

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_LOCAL = 0x20  # version 2, and the connection is nobody's: the agent's own
_PROXY = 0x21
_UNSPECIFIED, _TCP4, _TCP6 = 0x00, 0x11, 0x21

LOCAL = _SIGNATURE + struct.pack("!BBH", _LOCAL, _UNSPECIFIED, 0)
"""Of a connection that no app asked for, such as a probe."""

Endpoint = tuple[IPv4Address | IPv6Address, int]


def header(source: str, target: tuple[str, int]) -> bytes:
    """The header for an app at `source` (`host:port`, IPv6 in brackets) whose bytes go to `target`.

    Where one of the two has an IPv6 address, that of the other is mapped into IPv6. A source that is no
    address is told as unknown.
    """
    app = _endpoint(source)
    if app is None:
        return _SIGNATURE + struct.pack("!BBH", _PROXY, _UNSPECIFIED, 0)
    service = (ip_address(target[0].partition("%")[0]), target[1])
    if app[0].version == service[0].version == 4:
        family, hosts = _TCP4, app[0].packed + service[0].packed
    else:
        family, hosts = _TCP6, _as_ipv6(app[0]) + _as_ipv6(service[0])
    addresses = hosts + struct.pack("!HH", app[1], service[1])
    return _SIGNATURE + struct.pack("!BBH", _PROXY, family, len(addresses)) + addresses


def _endpoint(text: str) -> Endpoint | None:
    host, _, port = text.rpartition(":")
    try:
        return ip_address(host.strip("[]").partition("%")[0]), int(port)
    except ValueError:
        return None


def _as_ipv6(address: IPv4Address | IPv6Address) -> bytes:
    return address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
