"""The pictures of a report, as SVG. matplotlib comes with the extra `bench`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from bench.goals import OURS
from bench.loads import iperf, scaling
from bench.pinger import PERCENTS
from bench.report import PLOTS
from bench.results import Results
from bench.ways.every import TWO_HOPS

SIZE = (8.0, 4.2)  # inches
INK = "#404040"
COLOURS = {
    "direct": "#b8b8b8",
    OURS: "#d1495b",
    "ssh": "#30638e",
    "frp": "#7a9e7e",
    "chisel": "#c9a227",
    "rathole": "#7d5ba6",
    "haproxy-tls": "#6b7b8c",
    "haproxy-plain": "#9fb1bd",
}


def draw(results: Results, folder: Path) -> None:
    """All pictures that there is something to draw for, of two hops; one of nothing says so."""
    folder.mkdir(parents=True, exist_ok=True)
    # The same run draws the same bytes, and text stays text.
    mpl.rcParams.update({"svg.hashsalt": "aditus", "svg.fonttype": "none", "font.size": 9.0})
    drawers = {"throughput": _throughput, "latency": _latency, "scaling": _scaling, "memory": _memory}
    for name, title in PLOTS.items():
        picture = Picture(figsize=SIZE, layout="constrained")
        axes = picture.subplots()
        axes.set_title(title, loc="left", color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        drawers[name](results, axes)
        if not axes.has_data():
            axes.text(0.5, 0.5, "not measured in this run", ha="center", transform=axes.transAxes)
        picture.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _throughput(results: Results, axes: Axes) -> None:
    _bars(results, axes, {direction: f"bulk.{direction}" for direction in iperf.DIRECTIONS})
    axes.set_ylabel("Gbit/s")


def _memory(results: Results, axes: Axes) -> None:
    ends = [(end, when) for when in ("idle", "after bulk") for end in ("public", "private")]
    _bars(results, axes, {f"{end}, {when}": f"memory.{end}.{when}" for end, when in ends})
    axes.set_ylabel("MiB")


def _latency(results: Results, axes: Axes) -> None:
    for way in _ways(results):
        curve = results.curve("down", way)
        if curve:
            axes.plot(PERCENTS, curve, label=way, color=COLOURS.get(way), lw=2.2 if way == OURS else 1.2)
    if axes.has_data():
        axes.set_yscale("log")
        axes.set_xlabel("percentile")
        axes.set_ylabel("round trip, ms, beside 4 bulk streams down")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _scaling(results: Results, axes: Axes) -> None:
    for way in _ways(results):
        found = {count: results.spread(f"scaling.{count}", way) for count in scaling.STREAMS}
        known = {count: spread.median for count, spread in found.items() if spread}
        if known:
            axes.plot(list(known), list(known.values()), "o-", label=way, color=COLOURS.get(way))
    if axes.has_data():
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(scaling.STREAMS, map(str, scaling.STREAMS))
        axes.set_xlabel("streams")
        axes.set_ylabel("Gbit/s in all, down")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _bars(results: Results, axes: Axes, groups: Mapping[str, str]) -> None:
    """For each way a bar of each group's figure, with whiskers from the lowest round to the highest."""
    ways = [way for way in _ways(results) if any(results.spread(key, way) for key in groups.values())]
    shades = _shades(len(groups))
    for number, key in enumerate(groups.values()):
        for place, way in enumerate(ways):
            spread = results.spread(key, way)
            if spread is None:
                continue
            width = 0.8 / len(groups)
            whiskers = [[spread.median - spread.low], [spread.high - spread.median]]
            axes.bar(
                place + (number - (len(groups) - 1) / 2) * width,
                spread.median,
                width * 0.92,
                yerr=whiskers,
                color=COLOURS.get(way),
                alpha=shades[number],
                error_kw={"ecolor": INK, "elinewidth": 0.8},
            )
    if ways:
        axes.set_xticks(range(len(ways)), ways)
        axes.set_xlabel("each from left to right: " + "; ".join(groups))


def _ways(results: Results) -> list[str]:
    """Those with two hops."""
    two = {way.name for way in TWO_HOPS}
    return [way for way in results.ways if way in two]


def _shades(count: int) -> Sequence[float]:
    return [1.0 - 0.6 * number / max(1, count - 1) for number in range(count)]
