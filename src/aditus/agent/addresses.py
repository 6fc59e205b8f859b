"""Addresses that a name may not lead to: what is found there gives out credentials, or is one's own wire.

A spec that gives such an address itself means it. A name is resolved at each dial, by a DNS that others
may have a hand in.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_ONLY_WHEN_NAMED = tuple(
    map(
        ip_network,
        (
            "169.254.0.0/16",  # link-local; the metadata service of most clouds is in it
            "fe80::/10",  # link-local
            "100.100.100.200/32",  # metadata: Alibaba Cloud
            "168.63.129.16/32",  # the host of an Azure machine
            "192.0.0.192/32",  # metadata: Oracle Cloud
            "fd00:ec2::/32",  # metadata: AWS
            "fd20:ce::254/128",  # metadata: Google Cloud
        ),
    )
)


def only_when_named(address: str) -> bool:
    """Whether this IP address (IPv6 with its zone or without) is dialled only where a spec gives it."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in _ONLY_WHEN_NAMED)
