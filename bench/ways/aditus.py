"""Aditus itself: `aditus serve` and `aditus connect`, apps at the listeners of `serve`."""

from collections.abc import Mapping
from dataclasses import dataclass

from aditus import __version__
from aditus.client.rest import Client
from bench.programs import LOOPBACK, Place, free_ports, wait_for
from bench.ways.way import Opened, Role, Way
from demo.stage import aditus

KEY = "bench"
CAPABILITY = "integration"


@dataclass(frozen=True, slots=True)
class OpenedAditus(Opened):
    """With its API, as the owner."""

    api_url: str = ""
    token: str = ""


class Aditus(Way):
    """One server with SQLite, one agent with one link."""

    name = "aditus"
    role = Role.OURS
    settings = "serve and connect with their defaults, TLS 1.3"
    version = __version__

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        api, relay, *app_ports = free_ports(2 + len(targets))
        dialled = place.reach(relay)
        data = place.folder / "data"
        serve = place.start(
            "aditus serve",
            aditus(
                *("serve", "--data", str(data)),
                *("--api-listen", f"{LOOPBACK}:{api}"),
                *("--relay-listen", f"{LOOPBACK}:{relay}"),
                *("--public-url", f"wss://localhost:{dialled}"),
                *("--metrics-listen", "off"),
            ),
        )
        wait_for(lambda: " serving" in serve.said(), lambda: f"serve is not ready: {serve.tail()}", serve)
        token = (data / "owner.token").read_text().strip()
        with Client(f"http://{LOOPBACK}:{api}", token) as client:
            new = client.generate_key(KEY, CAPABILITY)
        if new.secret is None:
            raise AssertionError("a key that was made here comes with its secret")
        offers = [
            word
            for port, target in zip(app_ports, targets.values(), strict=True)
            for word in ("-s", f"{port}:{LOOPBACK}:{target}")
        ]
        agent = place.start(
            "aditus connect",
            aditus(
                *("connect", "--ca-file", str(data / "ca.pem")),
                *("--health-listen", "off"),
                *offers,
                new.key.connect_url,
            ),
            {"ADITUS_ACCESS_KEY": new.secret.reveal()},
        )
        ports = dict(zip(targets, app_ports, strict=True))
        return OpenedAditus(ports, [serve], [agent], f"http://{LOOPBACK}:{api}", token)
