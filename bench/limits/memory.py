"""A thousand streams of bulk whose readers are slow: the peak of memory against the configured budget."""

import time
from collections.abc import Iterator

from aditus.wire.credit import PROCESS_BUDGET, SESSION_BUDGET
from bench.limits import ends
from bench.limits.ends import Behave
from bench.limits.row import Goal, Row
from bench.limits.serving import Serving, peak
from bench.programs import Broken, Place

NAME = "memory"
STREAMS = 1_000
MIB = 1 << 20


def measure(place: Place, *, full: bool) -> Iterator[Row]:
    """Both ends of every stream write all that is taken, and read 160 KB/s."""
    seconds = 60.0 if full else 6.0
    serving = Serving(place)
    with ends.child("apps") as apps, ends.child("service") as service:
        port, agent = serving.agent(service.ask("listen"))
        programs = {"relay": serving.program, "agent": agent}
        before = {end: program.resident() for end, program in programs.items()}
        behave = Behave.WRITE | Behave.READ_SLOWLY
        apps.ask("connect", [port] * STREAMS, 0, behave, behave)
        service.wait_until("streams", STREAMS)
        time.sleep(seconds)
        for child in (apps, service):
            if (left := child.ask("streams")) != STREAMS:
                raise Broken(f"{child.name}: {STREAMS - left} of {STREAMS} streams were lost")
        heard = apps.ask("heard") + service.ask("heard")
        note = f"{heard / MIB:.0f} MiB were read; one session's budget is {SESSION_BUDGET / MIB:.0f} MiB"
        for end, program in programs.items():
            values = {"before": before[end] / MIB, "peak": peak(program) / MIB}
            goals = (Goal("peak", "≤", PROCESS_BUDGET / MIB),)
            yield Row(NAME, f"resident memory of the {end}", "MiB", values, goals, note)
