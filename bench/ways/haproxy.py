"""A chain of two HAProxy processes in TCP mode: what two hops cost in C, once with TLS between them."""

from collections.abc import Mapping

from bench import install
from bench.programs import Place, free_ports
from bench.ways import certificate
from bench.ways.way import Opened, Role, Way

GLOBAL = """
global
    nbthread 1
    maxconn 4096
    tune.bufsize 262144
defaults
    mode tcp
    timeout connect 10s
    timeout client 1h
    timeout server 1h
"""
HOP = """
listen {name}
    bind 127.0.0.1:{listen}{listen_tls}
    server next 127.0.0.1:{next}{next_tls}
"""


class _Chain(Way):
    role = Role.LIMIT
    tls: bool

    def __init__(self) -> None:
        self._program = install.debian("haproxy", "haproxy")
        self.version = install.version([self._program, "-v"]).removeprefix("HAProxy version ").split()[0]

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        between, app_ports = free_ports(len(targets)), free_ports(len(targets))
        ends = ("", "")
        if self.tls:
            tls = certificate.make(place)
            ends = (f" ssl verify required ca-file {tls.cert} sni str(localhost)", f" ssl crt {tls.both}")
        private = GLOBAL + "".join(
            HOP.format(name=name, listen=port, listen_tls=ends[1], next=target, next_tls="")
            for (name, target), port in zip(targets.items(), between, strict=True)
        )
        far = place.start(
            "haproxy private", [self._program, "-db", "-f", place.write("private.cfg", private)]
        )
        for port in between:
            far.wait_listening(port)
        public = GLOBAL + "".join(
            HOP.format(name=name, listen=app_port, listen_tls="", next=place.reach(port), next_tls=ends[0])
            for name, port, app_port in zip(targets, between, app_ports, strict=True)
        )
        near = place.start("haproxy public", [self._program, "-db", "-f", place.write("public.cfg", public)])
        return Opened(dict(zip(targets, app_ports, strict=True)), [near], [far])


class HaproxyTls(_Chain):
    """TLS between the two processes."""

    name = "haproxy-tls"
    settings = "two processes in TCP mode, TLS between, 256 KiB buffers, one thread each"
    tls = True


class HaproxyPlain(_Chain):
    """Plain TCP between the two processes."""

    name = "haproxy-plain"
    settings = "two processes in TCP mode, plain, 256 KiB buffers, one thread each"
    tls = False
