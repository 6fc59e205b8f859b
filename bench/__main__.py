"""`python -m bench`: measure, tell, and with a folder to write to, report."""

import argparse
import json
import math
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from rich.console import Console

from bench import install, machine, report
from bench.limits import every as limits
from bench.loads.every import every
from bench.loads.load import Load
from bench.method import FAILURES, Run, Tell, acquire
from bench.results import Results
from bench.ways.every import EVERY

ROUNDS, QUICK_ROUNDS = 5, 2
SECONDS, QUICK_SECONDS = 4, 1
QUICK_LIMIT = 160.0
"""Seconds after which a quick run begins nothing new, so that it ends in under 3 minutes."""
DESCRIPTORS = 16_384
"""What every program may open; a thousand connections take a few thousand."""
LAST = "last-run.json"
LIMITS = "limits"
"""Stands for all of `bench.limits` among the names of loads."""


def main() -> int:
    given = _parse()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    loads = list(every(quick=given.quick))
    if given.only and not given.raw:
        loads = [load for load in loads if load.name in given.only]
    results = Results.from_json(json.loads(given.raw.read_text())) if given.raw else Results()
    if not given.raw or LIMITS in given.only:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        try:
            _measure(given, [] if given.raw else loads, results, console)
        except KeyboardInterrupt:
            console.print("Interrupted; everything that was started has ended.")
            return 130
    sys.stdout.write(report.tables(results, loads))
    if given.out:
        from bench import plots  # late, since it needs matplotlib, which only reports need

        pictures = given.out / "benchmarks"
        plots.draw(results, pictures)
        (pictures / "raw.json").write_text(_text(results))
        console.print(f"Wrote {report.write(results, loads, given.out)}")
    return 0


def _measure(given: argparse.Namespace, loads: list[Load], results: Results, console: Console) -> None:
    started = time.monotonic()
    last = install.cache() / LAST

    def tell(text: str) -> None:
        console.print(f"{time.monotonic() - started:6.0f} s  {text}", markup=False)

    if loads:
        results.machine = machine.describe()
        kinds = [way for way in EVERY if not given.ways or way.name in given.ways]
        ways = acquire(kinds, results, console.print)
        results.rounds = given.rounds or (QUICK_ROUNDS if given.quick else ROUNDS)
        results.seconds = given.seconds or (QUICK_SECONDS if given.quick else SECONDS)
        until = started + QUICK_LIMIT if given.quick else math.inf
        run = Run(results, results.rounds, results.seconds, tell, until)
        for load in loads:
            run.measure(load, ways)
            last.parent.mkdir(parents=True, exist_ok=True)
            last.write_text(_text(results))  # so that an interrupted hour is not lost: --raw
    if LIMITS in given.only or not (given.only or given.quick):
        results.limits = list(_limits(results, tell))


def _limits(results: Results, tell: Tell) -> Iterator[dict[str, Any]]:
    """The rows of all measurements of `bench.limits`, in full sizes."""
    for name in limits.EVERY:
        try:
            for row in limits.measure(name, full=True):
                tell(str(row))
                yield asdict(row)
        except FAILURES as error:
            results.failures.append(f"limits, {name}: {error}")
            tell(f"{name} is left out: {error}")


def _parse() -> argparse.Namespace:
    names = [*(load.name for load in every(quick=False)), LIMITS]
    parser = argparse.ArgumentParser(prog="python -m bench", description="Compare Aditus with its peers.")
    parser.add_argument("--quick", action="store_true", help="short, in under 3 minutes; not for quoting")
    parser.add_argument("--only", nargs="+", default=[], choices=names, metavar="LOAD", help=" ".join(names))
    ways = [way.name for way in EVERY]
    parser.add_argument("--ways", nargs="+", choices=ways, metavar="NAME", help=" ".join(ways))
    parser.add_argument("--rounds", type=int, metavar="N", help=f"[{ROUNDS}; quick: {QUICK_ROUNDS}]")
    parser.add_argument("--seconds", type=int, metavar="N", help="per figure and round")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write benchmarks.md and pictures there")
    parser.add_argument(
        "--raw",
        type=Path,
        metavar="FILE",
        help=f"report an earlier run; with --only {LIMITS} those anew",
    )
    return parser.parse_args()


def _text(results: Results) -> str:
    return json.dumps(results.to_json(), indent=None, separators=(",", ":")) + "\n"


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
