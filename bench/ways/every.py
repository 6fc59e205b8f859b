"""All ways, in the order of the report."""

from bench.ways.aditus import Aditus
from bench.ways.chisel import Chisel
from bench.ways.direct import Direct
from bench.ways.frp import Frp
from bench.ways.haproxy import HaproxyPlain, HaproxyTls
from bench.ways.rathole import Rathole
from bench.ways.sidecar import Sidecar
from bench.ways.ssh import Ssh
from bench.ways.ssh_both import SshBoth
from bench.ways.way import Way

TWO_HOPS: tuple[type[Way], ...] = (Direct, Aditus, Ssh, Frp, Chisel, Rathole, HaproxyTls, HaproxyPlain)
"""Compared with each other; `direct` has no hop."""
THREE_HOPS: tuple[type[Way], ...] = (Sidecar, SshBoth)
"""With an end beside the app; compared with each other."""
EVERY = (*TWO_HOPS, *THREE_HOPS)
