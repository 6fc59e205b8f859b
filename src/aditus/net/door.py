"""Those who have connected and not proven yet who they are: bounded in all, and for each source.

What one of them costs (TLS, an upgrade, a handshake) has deadlines; this bounds how many cost it at once.
"""

import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Callable

_log = logging.getLogger(__name__)

TOLD_EVERY_SECONDS = 10.0
"""How often the log says that connections are reset."""


class Door:
    """Counts connections by their descriptor, from their accept until they are known or gone."""

    def __init__(self, in_all: int, per_source: int, turned_away: Callable[[], None]) -> None:
        self._in_all = in_all
        self._per_source = per_source
        self._turned_away = turned_away
        self._sources: dict[int, str] = {}  # by descriptor
        self._counts: Counter[str] = Counter()
        self._told_at = -TOLD_EVERY_SECONDS

    def __len__(self) -> int:
        return len(self._sources)

    def enter(self, descriptor: int, host: str) -> bool:
        """Whether this connection from `host`, an IP address, may stay; then it has a place until `leave`."""
        source = source_of(host)
        if len(self._sources) >= self._in_all or self._counts[source] >= self._per_source:
            self._turned_away()
            self._tell(source)
            return False
        self._sources[descriptor] = source
        self._counts[source] += 1
        return True

    def leave(self, descriptor: int) -> None:
        """It is known now, or gone. Without effect on one that has no place."""
        source = self._sources.pop(descriptor, None)
        if source is not None:
            self._counts[source] -= 1
            if not self._counts[source]:
                del self._counts[source]

    def _tell(self, source: str) -> None:
        if time.monotonic() - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = time.monotonic()
            _log.warning(
                "resetting new connections: %d have not proven yet who they are, %d of them from %s;"
                " if they are no agents, keep that source out by a firewall",
                len(self),
                self._counts[source],
                source,
            )


def source_of(host: str) -> str:
    """Who is counted together: an IPv4 address, or an IPv6 /64, since a site has all addresses of one."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
