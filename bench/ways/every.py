"""All ways, in the order of the report."""

from bench.ways.aditus import Aditus
from bench.ways.chisel import Chisel
from bench.ways.direct import Direct
from bench.ways.frp import Frp
from bench.ways.haproxy import HaproxyPlain, HaproxyTls
from bench.ways.rathole import Rathole
from bench.ways.ssh import Ssh
from bench.ways.way import Way

EVERY: tuple[type[Way], ...] = (Direct, Aditus, Ssh, Frp, Chisel, Rathole, HaproxyTls, HaproxyPlain)
