"""The method: every load on all ways in turn, A B C … A B C …, so that what else happens on the machine
meets all of them alike; and ratios between ways of the same round.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import targets
from bench.install import Unavailable
from bench.loads.load import Load, Turn
from bench.programs import Broken, Place
from bench.results import Results
from bench.ways.way import Opened, Way, opened

Tell = Callable[[str], None]


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


def run(
    loads: Sequence[Load], ways: Sequence[Way], results: Results, *, rounds: int, seconds: int, tell: Tell
) -> None:
    """Measure everything. A way that fails is told of and left out for the rest of that load."""
    results.rounds, results.seconds = rounds, seconds
    for load in loads:
        concerned = [way for way in ways if load.ways is None or way.name in load.ways]
        if not concerned:
            continue
        tell(f"== {load.title}")
        try:
            _run(
                load,
                concerned,
                results,
                min(rounds, load.rounds or rounds),
                max(seconds, load.at_least),
                tell,
            )
        except (Broken, Unavailable) as error:
            results.failures.append(f"{load.name}: {error}")
            tell(f"{load.name} is left out: {error}")


def _run(load: Load, ways: Sequence[Way], results: Results, rounds: int, seconds: int, tell: Tell) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aditus-bench-targets-")))
        running = targets.start(load.needs, Place(folder, stack), stack)
        stacks: dict[str, ExitStack] = {}
        open_ways: dict[str, Opened] = {}

        def leave_out(name: str, error: Exception) -> None:
            open_ways.pop(name, None)
            results.failures.append(f"{load.name} on {name}: {error}")
            tell(f"{name} is left out here: {error}")
            stacks[name].close()

        for way in ways:
            stacks[way.name] = stack.enter_context(ExitStack())
            try:
                open_ways[way.name] = stacks[way.name].enter_context(
                    opened(way, running.ports, load.long_way)
                )
            except (Broken, Unavailable) as error:
                leave_out(way.name, error)
        for number in range(rounds):
            for name, open_way in list(open_ways.items()):
                turn = Turn(open_way, running, seconds, number)
                try:
                    measured = load.measure(turn)
                except (Broken, Unavailable) as error:
                    leave_out(name, error)
                    continue
                results.add(name, number, measured.values, measured.curves)
                tell(_line(load, name, number, measured.values))


def _line(load: Load, way: str, number: int, values: Mapping[str, float]) -> str:
    told = (
        f"{figure.title} {values[figure.key]:.{figure.digits}f} {figure.unit}"
        for figure in load.figures
        if figure.key in values
    )
    return f"round {number + 1}  {way:<13}  {' · '.join(told)}"
