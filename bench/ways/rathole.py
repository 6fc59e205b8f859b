"""rathole: a server and a client, a TLS connection for each of the app's connections."""

import secrets
from collections.abc import Mapping

from bench import install
from bench.programs import LOOPBACK, Place, free_ports
from bench.ways import certificate
from bench.ways.way import Opened, Role, Way

VERSION = "0.5.0"

SERVER = """
[server]
bind_addr = "127.0.0.1:{port}"
default_token = "{token}"
[server.transport]
type = "tls"
[server.transport.tcp]
nodelay = true
[server.transport.tls]
pkcs12 = "{pkcs12}"
pkcs12_password = "{password}"
"""

CLIENT = """
[client]
remote_addr = "127.0.0.1:{port}"
default_token = "{token}"
[client.transport]
type = "tls"
[client.transport.tcp]
nodelay = true
[client.transport.tls]
trusted_root = "{cert}"
hostname = "localhost"
"""


class Rathole(Way):
    """TLS with a verified certificate, TCP_NODELAY on."""

    name = "rathole"
    role = Role.PEER
    settings = "TLS (it agrees on ChaCha20), nodelay; a connection for each stream, no multiplexer"

    def __init__(self) -> None:
        self._program = install.cargo("rathole", VERSION, ("server", "client", "tls"))
        self.version = VERSION

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        tls = certificate.make(place)
        port, *app_ports = free_ports(1 + len(targets))
        ports = dict(zip(targets, app_ports, strict=True))
        token = secrets.token_hex()
        server = SERVER.format(port=port, token=token, pkcs12=tls.pkcs12, password=certificate.PASSWORD)
        for name, app_port in ports.items():
            server += f'[server.services.{name}]\nbind_addr = "{LOOPBACK}:{app_port}"\nnodelay = true\n'
        listening = place.start(
            "rathole server", [self._program, "--server", place.write("server.toml", server)]
        )
        listening.wait_listening(port)
        client = CLIENT.format(port=place.reach(port), token=token, cert=tls.cert)
        for name, target in targets.items():
            client += f'[client.services.{name}]\nlocal_addr = "{LOOPBACK}:{target}"\nnodelay = true\n'
        dialling = place.start(
            "rathole client", [self._program, "--client", place.write("client.toml", client)]
        )
        return Opened(ports, [listening], [dialling])
