"""Idle agents on one relay process: the memory that each takes, and how soon all are back after an outage."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from bench.limits import swarm
from bench.limits.child import Child
from bench.limits.row import Goal, Row
from bench.limits.serving import Serving
from bench.programs import Broken, Place

NAME = "idle"
SWARMS = 4
PER_KEY = 20
KB = 1_000
ATTACH_SECONDS = 300.0
LOOK_EVERY = 0.25
REST_SECONDS = 2.0


def measure(place: Place, *, full: bool) -> Iterator[Row]:
    """`kill -9` of the server while all agents are idle, and the same server started again at once."""
    count = 10_000 if full else 500
    serving = Serving(place)
    _, _, members = serving.members(count // PER_KEY, PER_KEY, 9)  # nobody asks for the target
    before = serving.program.resident()
    with ExitStack() as stack:
        swarms = [stack.enter_context(swarm.child(f"swarm {number}")) for number in range(SWARMS)]
        began = time.monotonic()
        for number, one in enumerate(swarms):
            one.ask("start", serving.ca_file, members[number::SWARMS])
        _wait_attached(swarms, count, 0.0)
        took = time.monotonic() - began
        time.sleep(REST_SECONDS)  # idle, and not busy with the last one
        each = (serving.program.resident() - before) / count / KB
        note = f"{count} agents with TLS in {SWARMS} processes, attached in {took:.0f} s at their own pace"
        goals = (Goal("each", "≤", 50.0),)
        yield Row(NAME, "resident in the relay for each idle agent", "KB", {"each": each}, goals, note)

        killed = time.time()
        serving.kill()
        serving.start()
        serving.wait()
        serves = time.time()
        last = _wait_attached(swarms, count, killed)
        values = {"outage": serves - killed, "last": last - serves}
        goals = (Goal("last", "≤", 10.0),)
        yield Row(NAME, "from the end of an outage until all are back", "s", values, goals, f"{count} agents")


def _wait_attached(swarms: Sequence[Child], count: int, after: float) -> float:
    """Wait until all are attached, since a moment after `after` the last of them: that moment."""
    until = time.monotonic() + ATTACH_SECONDS
    while True:
        states: list[tuple[int, float]] = [one.ask("attached", after) for one in swarms]
        there = sum(attached for attached, _ in states)
        if there == count:
            return max(since for _, since in states)
        if time.monotonic() > until:
            raise Broken(f"after {ATTACH_SECONDS:.0f} s only {there} of {count} agents are attached")
        time.sleep(LOOK_EVERY)
