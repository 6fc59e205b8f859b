"""Idle agents on one relay process: the memory that each takes, and how soon all are back after an outage."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench.limits import swarm
from bench.limits.row import Goal, Row, percentiles
from bench.limits.serving import Serving, cpu_seconds
from bench.programs import Place

NAME = "idle"
SWARMS = 4
PER_KEY = 20
KB = 1_000
BACK_SECONDS = 10.0
REST_SECONDS = 2.0


def measure(place: Place, *, full: bool) -> Iterator[Row]:
    """`kill -9` of the server while all agents are idle, and the same server started again at once."""
    count = 10_000 if full else 500
    serving = Serving(place)
    _, _, members = serving.members(count // PER_KEY, PER_KEY, 9)  # nobody asks for the target
    before = serving.program.resident()
    with ExitStack() as stack:
        swarms = [stack.enter_context(swarm.child(f"swarm {number}")) for number in range(SWARMS)]
        began, used = time.monotonic(), cpu_seconds(serving.program)
        for number, one in enumerate(swarms):
            one.ask("start", serving.ca_file, members[number::SWARMS])
        swarm.wait_attached(swarms, count)
        took, used = time.monotonic() - began, cpu_seconds(serving.program) - used
        time.sleep(REST_SECONDS)  # idle, and not busy with the last one
        each = (serving.program.resident() - before) / count / KB
        note = f"{count} agents with TLS in {SWARMS} processes, attached in {took:.0f} s a few at a time"
        goals = (Goal("each", "≤", 50.0),)
        yield Row(NAME, "resident in the relay for each idle agent", "KB", {"each": each}, goals, note)

        values = {"each": 1_000 * used / count}
        yield Row(NAME, "the relay's processor time for each attach", "ms", values)

        killed = time.time()
        serving.kill()
        serving.start()
        serving.wait()
        serves, used = time.time(), cpu_seconds(serving.program)
        back = [since - serves for since in swarm.attached(swarms, count, killed)]
        used = cpu_seconds(serving.program) - used
        soon = sum(seconds <= BACK_SECONDS for seconds in back)
        note = f"{count} agents, {soon} of them back in time, after an outage of {serves - killed:.1f} s; "
        note += f"the relay used {used:.1f} s of processor time"
        if len(back) < count:
            note += f"; {count - len(back)} were not back when we gave up"
            back += [swarm.ATTACH_SECONDS] * (count - len(back))
        goals = (Goal("last", "≤", BACK_SECONDS),)
        yield Row(
            NAME, "from the end of an outage until agents are back", "s", percentiles(back), goals, note
        )
