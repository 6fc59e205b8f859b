"""What administrators may say of a key's rules, in one form: app ports, and networks to dial from."""

from collections.abc import Sequence
from ipaddress import ip_network

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
        return tuple(dict.fromkeys(str(ip_network(source.strip())) for source in sources))
    except ValueError:
        raise _bad(
            "allowed_sources",
            "An allowed source is an address, or a network in CIDR form with zero bits after the prefix.",
            "For example 192.0.2.0/24, 2001:db8::/32 or 198.51.100.7.",
        ) from None


def _bad(field: str, message: str, remedy: str) -> AditusError:
    return invalid(f"bad-{field.replace('_', '-')}", message, remedy=remedy, field=field)
