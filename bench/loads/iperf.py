"""iperf3, both sides of it: bulk through a way, or beside something else that is measured."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import install
from bench.loads.load import Turn
from bench.programs import LOOPBACK, PATIENCE, Broken, Place, Program, wait_for
from bench.targets import IPERF

DIRECTIONS = ("down", "up")
"""Down: from the service to the app."""
BEGUN = 2**21
"""Bytes: more than iperf3 reads before the first of its data (libraries, and what it agrees on)."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """What arrived, in Gbit/s: over all the time, and second by second."""

    rate: float
    by_second: tuple[float, ...]


def bulk(turn: Turn, direction: str, streams: int = 1) -> Bulk:
    """Send as much as goes for the turn's seconds, over so many streams."""
    with running(turn, direction, streams) as begun:
        return begun.finish()


@dataclass(frozen=True, slots=True)
class Running:
    """Bulk that goes on."""

    client: Program
    server: Program
    direction: str
    seconds: int

    def received(self) -> int:
        """Bytes that have arrived so far, roughly. `Broken` if the transfer has ended."""
        for program in (self.client, self.server):
            if program.ended():
                raise Broken(program.ended())
        return (self.client if self.direction == "down" else self.server).has_read()

    def finish(self) -> Bulk:
        """Wait for the end."""
        ends = [_ended(self.client, self.seconds), _ended(self.server, self.seconds)]
        # What has arrived is what counts, and the receiver is the one who knows it.
        return parse(ends[0] if self.direction == "down" else ends[1], ends[0])


@contextmanager
def running(turn: Turn, direction: str, streams: int = 1) -> Iterator["Running"]:
    """Bulk of which some has arrived. A server of its own each time, so that one test that went wrong does
    not spoil the next.
    """
    iperf3 = install.debian("iperf3", "iperf3")
    port = turn.targets.ports[IPERF]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aditus-bench-iperf3-")))
        place = Place(folder, stack)
        server = place.start("iperf3 server", [iperf3, "-s", "-1", "-J", "-B", LOOPBACK, "-p", str(port)])
        server.wait_listening(port)
        command = [str(iperf3), "-c", LOOPBACK, "-p", str(turn.port(IPERF)), "-t", str(turn.seconds), "-J"]
        backwards = ["-R"] if direction == "down" else []
        client = place.start("iperf3", [*command, "-P", str(streams), *backwards])

        bulk = Running(client, server, direction, turn.seconds)
        wait_for(lambda: bulk.received() > BEGUN, lambda: f"no bulk arrives: {client.tail()}", client)
        yield bulk


def parse(receiver: str, client: str) -> Bulk:
    """The result from the JSON of the receiving side and of the client (which may be the same)."""
    whole = _json(client)["end"]["sum_received"]["bits_per_second"] / 1e9
    seconds = [interval["sum"] for interval in _json(receiver)["intervals"]]
    return Bulk(whole, tuple(each["bits_per_second"] / 1e9 for each in seconds if each["seconds"] > 0.5))


def _ended(program: Program, seconds: float) -> str:
    code = program.wait(seconds + PATIENCE)
    if code:
        raise Broken(f"{program.name} ended with exit code {code}: {_why(program.said())}")
    return program.said()


def _json(said: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(said)
    except json.JSONDecodeError as error:
        raise Broken(f"iperf3 did not finish its report: {error}") from None
    if "error" in read:
        raise Broken(f"iperf3: {read['error']}")
    return read


def _why(said: str) -> str:
    try:
        return str(json.loads(said)["error"])
    except (json.JSONDecodeError, KeyError):
        return " / ".join(said.splitlines()[-3:])
