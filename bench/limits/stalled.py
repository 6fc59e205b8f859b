"""One stalled reader among 100 streams: what it costs the others, and what it costs in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from aditus.client.rest import Client
from aditus.wire.credit import MAX_WINDOW
from bench.limits import ends
from bench.limits.child import Child
from bench.limits.ends import Behave
from bench.limits.row import Goal, Row, spread
from bench.limits.serving import Serving, highest
from bench.programs import Broken, Place, Program

NAME = "stalled"
OTHERS = 99
MIB = 1 << 20
GROWTH = MAX_WINDOW / MIB + 1
"""MiB: the widest window that a stream may have, and 1."""
FILLING_SECONDS = 0.5
"""Until the stalled stream has taken all that it takes."""


def measure(place: Place, *, full: bool) -> Iterator[Row]:
    """Readers are the apps (down), then the service (up). The stalled one comes and goes in each round."""
    rounds, seconds = (5, 5.0) if full else (3, 1.0)
    serving = Serving(place)
    with ends.child("apps") as apps, ends.child("service") as service, serving.client() as api:
        port, agent = serving.agent(service.ask("listen"))
        tunnel = _Tunnel(apps, service, port, serving.program, agent, api)
        for way in ("down", "up"):
            yield from tunnel.measure(way, rounds, seconds)


@dataclass(frozen=True, slots=True)
class _Tunnel:
    apps: Child
    service: Child
    port: int
    relay: Program
    agent: Program
    api: Client

    def measure(self, way: str, rounds: int, seconds: float) -> Iterator[Row]:
        down = way == "down"
        readers = self.apps if down else self.service
        self._connect(OTHERS, 0, down, Behave.READ)
        self._half(readers, 2 * seconds)  # what is taken for any stream, is taken now
        kept: list[float] = []
        rate = 0.0
        grown: dict[str, list[float]] = {"relay": [], "agent": []}
        for _ in range(rounds):
            rate, memory = self._half(readers, seconds)
            self._connect(1, OTHERS, down, Behave.NOTHING)
            self._half(readers, FILLING_SECONDS)
            if (streams := len(self.api.streams())) != OTHERS + 1:
                raise Broken(f"there are {streams} streams, and not {OTHERS + 1}")
            rate_with, memory_with = self._half(readers, seconds)
            readers.ask("reset", OTHERS)
            kept.append(100 * rate_with / rate)
            for end in grown:
                grown[end].append((memory_with[end] - memory[end]) / MIB)
        for number in range(OTHERS):
            readers.ask("reset", number)
        for child in (self.apps, self.service):
            child.wait_until("streams", 0)
        note = f"{rate * 8 / 1e9:.2f} Gbit/s without it in the last round"
        goal = Goal("median", "≥", 90.0)
        yield Row(NAME, f"rate that 99 readers {way} keep", "%", spread(kept), (goal,), note)
        for end, values in grown.items():
            goals = (Goal("max", "≤", GROWTH),)
            yield Row(NAME, f"growth of the {end}, stalled {way}", "MiB", spread(values), goals)

    def _connect(self, count: int, first: int, down: bool, reader: Behave) -> None:
        here, there = (reader, Behave.WRITE) if down else (Behave.WRITE, reader)
        self.apps.ask("connect", [self.port] * count, first, here, there)

    def _half(self, readers: Child, seconds: float) -> tuple[float, dict[str, int]]:
        """Bytes per second that are read, and the most memory of both ends meanwhile."""
        heard, began = readers.ask("heard"), monotonic()
        relay, agent = highest(seconds, self.relay, self.agent)
        rate = (readers.ask("heard") - heard) / (monotonic() - began)
        return rate, {"relay": relay, "agent": agent}
