"""What a relay is told at its start. `config` fills it, nobody else."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

HANDSHAKE_SECONDS = 5.0
"""How long TLS, the upgrade, and then HELLO and OFFER may each take."""
STRANGERS = 4_096
"""Connections that may be in TLS, the upgrade or the handshake at once: 176 MB, at 43 KB each."""
STRANGERS_PER_SOURCE = 3_072
"""Of these from one source, so that a quarter is left for all others. Not fewer, since all agents behind one
proxy are one source, and come back together after an outage; each needs its place for milliseconds."""
LOWEST_LISTENER_PORT = 1024


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The region, the public names that proofs may be made out to, and where apps may knock."""

    region: str
    audiences: tuple[str, ...]  # host[:port], normalised as `RelayUrl.audience`
    app_listen: str | None = "127.0.0.1"  # None: no listeners
    reserved_ports: frozenset[int] = frozenset()  # our own; never a listener's
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()  # whose X-Forwarded-For is believed
    handshake_seconds: float = HANDSHAKE_SECONDS
    strangers: int = STRANGERS
    strangers_per_source: int = STRANGERS_PER_SOURCE
