"""From one stream to many: total bulk, and what it leaves in memory."""

from functools import partial

from bench.loads import iperf
from bench.loads.load import Figure, Load, Measured, Turn
from bench.targets import IPERF

STREAMS = (1, 4, 16, 64)
MIB = 2**20


def load(*, quick: bool) -> Load:
    counts = STREAMS[2:3] if quick else STREAMS
    rates = tuple(
        Figure(f"scaling.{count}", f"{count} stream{'s' if count > 1 else ''}", "Gbit/s", digits=2)
        for count in counts
    )
    memory = tuple(
        Figure(f"memory.{end}.{when}", f"{end} end, {when}", "MiB resident", more_is_better=False)
        for when in ("idle", "after bulk")
        for end in ("public", "private")
    )
    return Load(
        "scaling",
        "Many streams at once, and memory",
        "iperf3 down with so many streams in all. Memory is the resident size of all processes of an end; "
        "idle is before the first byte of bulk.",
        rates + memory,
        partial(_measure, counts),
        needs=(IPERF,),
        rounds=1 if quick else None,
    )


def _measure(counts: tuple[int, ...], turn: Turn) -> Measured:
    values: dict[str, float] = {}
    if turn.round == 0:
        values |= _memory(turn, "idle")
    values |= {f"scaling.{count}": iperf.bulk(turn, "down", count).rate for count in counts}
    return Measured(values | _memory(turn, "after bulk"))


def _memory(turn: Turn, when: str) -> dict[str, float]:
    ends = zip(("public", "private"), turn.opened.resident(), strict=True)
    return {f"memory.{end}.{when}": size / MIB for end, size in ends}
