"""One bulk stream over a long way: do the windows grow as far as plain TCP's do?"""

from statistics import fmean

from bench.loads import iperf
from bench.loads.load import Figure, Load, Measured, Turn
from bench.longway import LongWay
from bench.programs import Broken
from bench.targets import IPERF

WAY = LongWay(rtt_ms=100, mbit=500)
QUICK_WAYS = frozenset({"direct", "aditus", "ssh"})
START = 3
"""Seconds after which a stream has to be up to speed."""


def load(*, quick: bool) -> Load:
    figures = [
        figure
        for direction in iperf.DIRECTIONS
        for figure in (
            Figure(f"far.{direction}", f"{direction}, from {START} s on", "Mbit/s", digits=0),
            Figure(f"far.{direction}.start", f"{direction}, the first {START} s", "Mbit/s", digits=0),
        )
    ]
    return Load(
        "far",
        f"One stream over a long way: {WAY.rtt_ms} ms round trip, {WAY.mbit} Mbit/s",
        "iperf3 through a delay proxy between the two ends (direct: between app and service).",
        tuple(figures[:2] if quick else figures),
        _down if quick else _both,
        needs=(IPERF,),
        ways=QUICK_WAYS if quick else None,
        rounds=1 if quick else None,
        at_least=START + (1 if quick else 3),
        long_way=WAY,
    )


def _down(turn: Turn) -> Measured:
    return _measure(turn, iperf.DIRECTIONS[:1])


def _both(turn: Turn) -> Measured:
    return _measure(turn, iperf.DIRECTIONS)


def _measure(turn: Turn, directions: tuple[str, ...]) -> Measured:
    values = {}
    for direction in directions:
        seconds = iperf.bulk(turn, direction).by_second
        if len(seconds) <= START:
            raise Broken(f"iperf3 told of {len(seconds)} seconds alone")
        values[f"far.{direction}"] = 1e3 * fmean(seconds[START:])
        values[f"far.{direction}.start"] = 1e3 * fmean(seconds[:START])
    return Measured(values)
