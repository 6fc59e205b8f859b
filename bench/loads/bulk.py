"""One stream, as fast as it goes, each direction: iperf3."""

from bench.loads import iperf
from bench.loads.load import Figure, Load, Measured, Turn
from bench.targets import IPERF

FIGURES = tuple(
    Figure(f"bulk.{direction}", f"one stream {direction}", "Gbit/s", digits=2)
    for direction in iperf.DIRECTIONS
)


def load(*, quick: bool) -> Load:
    return Load(
        "bulk",
        "Bulk, one stream",
        "iperf3 with one stream; down is from the service to the app.",
        FIGURES,
        _measure,
        needs=(IPERF,),
    )


def _measure(turn: Turn) -> Measured:
    return Measured({f"bulk.{direction}": iperf.bulk(turn, direction).rate for direction in iperf.DIRECTIONS})
