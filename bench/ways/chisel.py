"""chisel: a reverse tunnel, SSH inside a WebSocket inside TLS."""

from collections.abc import Mapping

from bench import install
from bench.programs import LOOPBACK, Place, free_ports
from bench.ways import certificate
from bench.ways.way import Opened, Role, Way

MODULE, VERSION = "github.com/jpillora/chisel", "v1.11.3"


class Chisel(Way):
    """`chisel server --reverse` with TLS, and a client with one reverse remote for each target."""

    name = "chisel"
    role = Role.PEER
    settings = "reverse tunnel over TLS"

    def __init__(self) -> None:
        self._program = install.go(MODULE, VERSION, {"chisel": "."}) / "chisel"
        self.version = VERSION

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        tls = certificate.make(place)
        port, *app_ports = free_ports(1 + len(targets))
        listen = ["--host", LOOPBACK, "--port", str(port), "--reverse"]
        secure = ["--tls-key", str(tls.key), "--tls-cert", str(tls.cert)]
        server = place.start("chisel server", [self._program, "server", *listen, *secure])
        server.wait_listening(port)
        remotes = [
            f"R:{LOOPBACK}:{app_port}:{LOOPBACK}:{target}"
            for app_port, target in zip(app_ports, targets.values(), strict=True)
        ]
        url = f"https://localhost:{place.reach(port)}"
        command = ["client", "--tls-ca", str(tls.cert), url, *remotes]
        client = place.start("chisel client", [self._program, *command])
        return Opened(dict(zip(targets, app_ports, strict=True)), [server], [client])
