"""The method: every load on all ways in turn, A B C … A B C …, so that what else happens on the machine
meets all of them alike; and ratios between ways of the same round.
"""

import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from aditus.domain.errors import AditusError
from bench import targets
from bench.install import Unavailable
from bench.loads.load import Load, Turn
from bench.programs import Broken, Place
from bench.results import Results
from bench.ways.way import Opened, Way, opened

Tell = Callable[[str], None]
FAILURES = (Broken, Unavailable, AditusError, OSError, RuntimeError, subprocess.SubprocessError)
"""What a way, a target or a tool may meet with; anything else is a mistake of the bench."""


def acquire(kinds: Sequence[type[Way]], results: Results, tell: Tell) -> list[Way]:
    """The ways that this machine can have; why it has not the others goes to `results`."""
    ways = []
    for kind in kinds:
        tell(f"looking for {kind.name}")
        try:
            way = kind()
        except Unavailable as error:
            results.missing[kind.name] = str(error)
            tell(f"{kind.name} is left out: {error}")
            continue
        results.ways[way.name] = ", ".join(filter(None, (way.version, way.settings)))
        ways.append(way)
    return ways


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the bench: how often and how long, and where its results go.

    `until` is a time of `time.monotonic` after which nothing new begins.
    """

    results: Results
    rounds: int
    seconds: int
    tell: Tell
    until: float = math.inf

    def measure(self, load: Load, ways: Sequence[Way]) -> None:
        """Measure a load on all these ways. What fails is told of and left out; the rest goes on."""
        concerned = [way for way in ways if load.ways is None or way.name in load.ways]
        if not concerned:
            return
        self.tell(f"== {load.title}")
        try:
            with ExitStack() as stack:
                self._rounds(load, concerned, stack)
        except FAILURES as error:
            self._fail(load.name, error)

    def _rounds(self, load: Load, ways: Sequence[Way], stack: ExitStack) -> None:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aditus-bench-targets-")))
        running = targets.start(load.needs, Place(folder, stack), stack)
        open_ways: dict[str, Opened] = {}
        for way in ways:
            try:
                open_ways[way.name] = stack.enter_context(opened(way, running.ports, load.long_way))
            except FAILURES as error:
                self._fail(f"{load.name} on {way.name}", error)
        for number in range(min(self.rounds, load.rounds or self.rounds)):
            for name, open_way in list(open_ways.items()):
                if time.monotonic() > self.until:
                    raise Broken(f"the time was over in round {number + 1}, before {name}")
                try:
                    measured = load.measure(Turn(open_way, running, max(self.seconds, load.at_least), number))
                except FAILURES as error:
                    self._fail(f"{load.name} on {name}", error, open_way.ended())
                    del open_ways[name]
                    continue
                self.results.add(name, number, measured.values, measured.curves)
                self.tell(_line(load, name, number, measured.values))

    def _fail(self, what: str, error: Exception, why: str = "") -> None:
        told = " ".join(f"{error}{': ' if why else ''}{why}".split())
        self.results.failures.append(f"{what}: {told}")
        self.tell(f"{what} is left out: {told}")


def _line(load: Load, way: str, number: int, values: Mapping[str, float]) -> str:
    told = (
        f"{figure.title} {values[figure.key]:.{figure.digits}f} {figure.unit}"
        for figure in load.figures
        if figure.key in values
    )
    return f"round {number + 1}  {way:<13}  {' · '.join(told)}"
