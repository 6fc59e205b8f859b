"""The report of a run, as Markdown that is also readable on a terminal."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from bench.goals import OURS, SIDECAR, verdicts
from bench.limits.row import Row
from bench.loads.load import Figure, Load
from bench.results import Results, Spread
from bench.ways.every import THREE_HOPS

PLOTS = {
    "throughput": "Throughput of one stream",
    "latency": "Distribution of a ping-pong beside bulk",
    "scaling": "Total throughput by the number of streams",
    "memory": "Resident memory of both ends",
}
HEAD = """# Benchmarks

How Aditus compares with other ways to carry a connection, all of them on one machine in one run. `make bench`
measured this and wrote this page; [the method](../bench/README.md) says how, and what not to conclude.
Numbers are medians of {rounds} rounds of {seconds} s or more, with the lowest and the highest round in
parentheses; a ratio is taken within each round, between neighbours in time. The
[raw results](benchmarks/raw.json) have every round.
"""


HOPS = """With an end of their own beside the app: `aditus sidecar`, `serve` and `connect`, and `ssh -L` into
`ssh -R` over one sshd. Measured in the same rounds as the figures above; compared with each other alone."""
LIMITS = """Aditus alone, with real processes: a reader that stalls among 100 streams, idle agents, the memory
of a thousand streams with slow readers, and a revoke of many keys (`python -m bench.limits --full`)."""


def page(results: Results, loads: Sequence[Load]) -> str:
    """The whole page for the docs."""
    parts = [HEAD.format(rounds=results.rounds, seconds=results.seconds)]
    parts += ["## Goals", goals(results), *_limits(results)]
    parts += ["## Pictures"]
    parts += [f"![{title}](benchmarks/{name}.svg)" for name, title in PLOTS.items()]
    parts += ["## Figures", *_figures(results, loads)]
    hops = _figures(results, loads, SIDECAR)
    parts += ["## Three hops", HOPS, *hops] if hops else []
    parts += ["## The machine", table(["", ""], [[name, what] for name, what in results.machine.items()])]
    parts += ["## The ways", _ways_table(results)]
    if results.failures:
        parts += ["## What failed", "\n".join(f"* {failure}" for failure in results.failures)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def tables(results: Results, loads: Sequence[Load]) -> str:
    """What a terminal shows: figures, then goals."""
    parts = _figures(results, loads)
    hops = _figures(results, loads, SIDECAR)
    parts += ["## Three hops", *hops] if hops else []
    parts += ["### Goals", goals(results)]
    parts += _limits(results)
    parts += [f"* {name} was not to be had: {why}" for name, why in results.missing.items()]
    parts += [f"* {failure}" for failure in results.failures]
    return "\n\n".join(parts) + "\n"


def write(results: Results, loads: Sequence[Load], folder: Path) -> Path:
    """The page in this folder; its path."""
    path = folder / "benchmarks.md"
    path.write_text(page(results, loads))
    return path


def goals(results: Results) -> str:
    """The table of the goals."""
    rows = []
    for verdict in verdicts(results):
        goal = verdict.goal
        found = _spread(verdict.found, 2) + ("" if verdict.found is None else f" {goal.unit}")
        rows.append([goal.what, goal.wanted, found, verdict.against, verdict.outcome])
    return table(["what", "goal", "measured", "against", "outcome"], rows)


def _limits(results: Results) -> list[str]:
    """What has no peer to be compared with."""
    rows = [Row.from_json(read) for read in results.limits]
    cells = [[row.measurement, row.what, row.measured, row.outcome, row.note] for row in rows]
    return ["### Limits", LIMITS, table(["", "what", "measured", "goals", "note"], cells)] if rows else []


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown with its columns in line."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _figures(results: Results, loads: Iterable[Load], ours: str = OURS) -> list[str]:
    """The measured loads, on the ways that this one of ours is compared with."""
    measured = ((load, _ways(results, load.figures, ours)) for load in loads)
    return [_load(results, load, ways, ours) for load, ways in measured if ways]


def _load(results: Results, load: Load, ways: Sequence[str], ours: str) -> str:
    figures = [figure for figure in load.figures if figure.key in results.values]
    values = [
        [
            f"{figure.title}, {figure.unit}",
            *(_spread(results.spread(figure.key, way), figure.digits) for way in ways),
        ]
        for figure in figures
    ]
    parts = [f"### {load.title}", load.about, table(["", *ways], values)]
    others = [way for way in ways if way != ours]
    if ours in ways and others:
        ratios = [
            [
                f"{figure.title} ({'more' if figure.more_is_better else 'less'} is better)",
                *(_spread(results.ratio(figure.key, ours, way), 2) for way in others),
            ]
            for figure in figures
        ]
        parts += ["Aditus as a multiple of the others:", table(["", *others], ratios)]
    return "\n\n".join(parts)


def _ways(results: Results, figures: Sequence[Figure], ours: str) -> list[str]:
    """The ways with as many hops as ours, for which one of these figures was measured."""
    three = {way.name for way in THREE_HOPS}
    return [
        way
        for way in results.ways
        if (way in three) == (ours in three)
        and any(results.spread(figure.key, way) is not None for figure in figures)
    ]


def _ways_table(results: Results) -> str:
    rows = [[name, what] for name, what in results.ways.items()]
    rows += [[name, f"not to be had here: {why}"] for name, why in results.missing.items()]
    return table(["way", "version and settings"], rows)


def _spread(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return "–"
    low, middle, high = (f"{value:,.{digits}f}" for value in (spread.low, spread.median, spread.high))
    return middle if low == high else f"{middle} ({low}–{high})"
