"""frp: frps at the public end, frpc at the private one."""

import secrets
from collections.abc import Mapping

from bench import install
from bench.programs import LOOPBACK, Place, free_ports
from bench.ways import certificate
from bench.ways.way import Opened, Role, Way

MODULE, VERSION = "github.com/fatedier/frp", "v0.68.0"

SERVER = """
bindAddr = "127.0.0.1"
bindPort = {port}
proxyBindAddr = "127.0.0.1"
auth.token = "{token}"
transport.tls.force = true
transport.tls.certFile = "{cert}"
transport.tls.keyFile = "{key}"
"""

CLIENT = """
serverAddr = "127.0.0.1"
serverPort = {port}
auth.token = "{token}"
transport.tls.trustedCaFile = "{cert}"
transport.tls.serverName = "localhost"
"""

PROXY = """
[[proxies]]
name = "{name}"
type = "tcp"
localIP = "{host}"
localPort = {target}
remotePort = {port}
"""


class Frp(Way):
    """TLS with a verified certificate, and the default multiplexer (tcpMux)."""

    name = "frp"
    role = Role.PEER
    settings = "TLS, default multiplexer (tcpMux) and pool"

    def __init__(self) -> None:
        # The dashboards, which `noweb` leaves out, are made by tools for web pages.
        commands = {"frps": "cmd/frps", "frpc": "cmd/frpc"}
        self._folder = install.go(MODULE, VERSION, commands, tags="frps,frpc,noweb")
        self.version = VERSION

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        tls = certificate.make(place)
        port, *app_ports = free_ports(1 + len(targets))
        ports = dict(zip(targets, app_ports, strict=True))
        token = secrets.token_hex()
        server = SERVER.format(port=port, token=token, cert=tls.cert, key=tls.key)
        frps = place.start("frps", [self._folder / "frps", "-c", place.write("frps.toml", server)])
        frps.wait_listening(port)
        client = CLIENT.format(port=place.reach(port), token=token, cert=tls.cert) + "".join(
            PROXY.format(name=name, host=LOOPBACK, target=target, port=ports[name])
            for name, target in targets.items()
        )
        frpc = place.start("frpc", [self._folder / "frpc", "-c", place.write("frpc.toml", client)])
        return Opened(ports, [frps], [frpc])
