"""Where an agent dials from: its own address, or what a trusted proxy in between says of it."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aditus.net.ws import Upgrade

MAX_HOPS = 16
"""Proxies in a row that are believed: more is a loop."""

Networks = Sequence[IPv4Network | IPv6Network]


def source_of(upgrade: Upgrade, trusted: Networks) -> str:
    """The last address that is no trusted proxy's; empty when a trusted proxy names none that is an address.

    `X-Forwarded-For` grows at its end, so it is read from there, as far as it is believed: what stands
    before that, whoever dialled may have written.
    """
    source = _address(upgrade.source)
    hops = upgrade.forwarded.rsplit(",", MAX_HOPS) if upgrade.forwarded else []
    while source is not None and hops and _in(source, trusted):
        source = _address(hops.pop())
    return str(source) if source is not None else ""


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as proxies write it: bare, or with brackets or a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _in(address: IPv4Address | IPv6Address, networks: Networks) -> bool:
    return any(address in network for network in networks)
