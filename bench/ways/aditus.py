"""Aditus itself: `aditus serve` and `aditus connect`, apps at the listeners of `serve`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aditus import __version__
from aditus.client.rest import Client
from aditus.domain.model import AccessKey
from bench.programs import LOOPBACK, Place, Program, free_ports, wait_for
from bench.ways.way import Opened, Role, Way
from demo.stage import aditus

KEY = "bench"
CAPABILITY = "integration"


@dataclass(frozen=True, slots=True)
class OpenedAditus(Opened):
    """With its API, as the owner."""

    api_url: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that is ready. `dialled`: the port at which its relay is found."""

    program: Program
    data: Path
    dialled: int
    api_url: str
    token: str

    @property
    def ca_file(self) -> Path:
        """The CA that its certificate is from."""
        return self.data / "ca.pem"


class Aditus(Way):
    """One server with SQLite, one agent with one link."""

    name = "aditus"
    role = Role.OURS
    settings = "serve and connect with their defaults, TLS 1.3"
    version = __version__

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        ports = dict(zip(targets, free_ports(len(targets)), strict=True))
        serving = serve(place)
        agent, _ = connect(place, serving, ports, targets)
        return OpenedAditus(ports, [serving.program], [agent], api_url=serving.api_url, token=serving.token)


def serve(place: Place, *options: str) -> Serving:
    """An `aditus serve` with its defaults, besides these options."""
    api, relay = free_ports(2)
    dialled = place.reach(relay)
    data = place.folder / "data"
    program = place.start(
        "aditus serve",
        aditus(
            *("serve", "--data", str(data)),
            *("--api-listen", f"{LOOPBACK}:{api}"),
            *("--relay-listen", f"{LOOPBACK}:{relay}"),
            *("--public-url", f"wss://localhost:{dialled}"),
            *("--metrics-listen", "off"),
            *options,
        ),
    )
    wait_for(lambda: " serving" in program.said(), lambda: f"serve is not ready: {program.tail()}", program)
    token = (data / "owner.token").read_text().strip()
    return Serving(program, data, dialled, f"http://{LOOPBACK}:{api}", token)


def connect(
    place: Place, serving: Serving, ports: Mapping[str, int], targets: Mapping[str, int]
) -> tuple[Program, AccessKey]:
    """An `aditus connect` that offers these targets at these app ports, and its key, which is new."""
    with Client(serving.api_url, serving.token) as client:
        new = client.generate_key(KEY, CAPABILITY)
    if new.secret is None:
        raise AssertionError("a key that was made here comes with its secret")
    offers = [word for name, port in ports.items() for word in ("-s", f"{port}:{LOOPBACK}:{targets[name]}")]
    agent = place.start(
        "aditus connect",
        aditus(
            *("connect", "--ca-file", str(serving.ca_file)),
            *("--health-listen", "off"),
            *offers,
            new.key.connect_url,
        ),
        {"ADITUS_ACCESS_KEY": new.secret.reveal()},
    )
    return agent, new.key
