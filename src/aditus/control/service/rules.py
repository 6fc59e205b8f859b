"""What administrators may say of a key's rules, in one form: app ports, and networks to dial from."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from aditus.domain.errors import AditusError, invalid

MAX_PORTS = 1_000
MAX_SOURCES = 100


def allowed_ports(ports: Sequence[int] | None) -> tuple[int, ...] | None:
    """App ports, sorted and each once. None: any; an empty list: none. Raises `AditusError` (invalid)."""
    if ports is None:
        return None
    if len(ports) > MAX_PORTS or not all(1 <= port <= 65_535 for port in ports):
        raise _bad(
            "allowed_ports",
            f"Allowed ports are at most {MAX_PORTS} numbers from 1 to 65535.",
            "List app ports, or null for any.",
        )
    return tuple(sorted(set(ports)))


def allowed_sources(sources: Sequence[str] | None) -> tuple[str, ...] | None:
    """IPv4 and IPv6 networks in CIDR form, or single addresses. None: any. Raises `AditusError` (invalid)."""
    if sources is None:
        return None
    if len(sources) > MAX_SOURCES:
        raise _bad("allowed_sources", f"There are more than {MAX_SOURCES} allowed sources.", "Join networks.")
    try:
        networks = [ip_network(source.strip()) for source in sources]
    except ValueError:
        raise _bad(
            "allowed_sources",
            "An allowed source is an address, or a network in CIDR form with zero bits after the prefix.",
            "For example 192.0.2.0/24, 2001:db8::/32 or 198.51.100.7.",
        ) from None
    if any(_is_never_seen(network) for network in networks):
        raise _bad(
            "allowed_sources",
            "An allowed source is no IPv4 network in IPv6 form, and has no zone: relays see neither.",
            "Write 10.0.0.0/8 for ::ffff:10.0.0.0/104, and fe80::1 for fe80::1%eth0.",
        )
    return tuple(dict.fromkeys(map(str, networks)))


def _is_never_seen(network: IPv4Network | IPv6Network) -> bool:
    """Relays take IPv4 in its own form, and addresses without their zone (see `policy.source_verdict`)."""
    if isinstance(network, IPv4Network):
        return False
    address = network.network_address
    return address.ipv4_mapped is not None or address.scope_id is not None


def _bad(field: str, message: str, remedy: str) -> AditusError:
    return invalid(f"bad-{field.replace('_', '-')}", message, remedy=remedy, field=field)
