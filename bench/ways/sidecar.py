"""Aditus with three hops: `aditus serve`, `aditus connect`, and `aditus sidecar` beside the app."""

from collections.abc import Mapping

from aditus.client.rest import Client
from bench.programs import Place, free_ports
from bench.ways.aditus import CAPABILITY, Aditus, connect, serve
from bench.ways.way import Opened
from demo.stage import aditus

APP = "bench"


class Sidecar(Aditus):
    """As `Aditus`, with no listener for apps on the server: they reach the sidecar's."""

    name = "sidecar"
    settings = "serve, connect and sidecar with their defaults, TLS 1.3 twice"

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        ports = dict(zip(targets, free_ports(len(targets)), strict=True))
        serving = serve(place, "--app-listen", "off")
        agent, key = connect(place, serving, ports, targets)
        with Client(serving.api_url, serving.token) as client:
            client.create_app(APP, CAPABILITY)
            client.associate(APP, key.access_key_id)
            secret = client.create_credential(APP).secret
        sidecar = place.start(
            "aditus sidecar",
            aditus(
                *("sidecar", "--app", APP, "--ca-file", str(serving.ca_file)),
                *("--secret-file", str(place.write("app.secret", secret.reveal()))),
                *("--health-listen", "off"),
                *("--relay", f"wss://localhost:{serving.dialled}"),
            ),
        )
        return Opened(ports, [serving.program], [agent], [sidecar])
