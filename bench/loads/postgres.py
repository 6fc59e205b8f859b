"""pgbench: small SELECTs on a real PostgreSQL, as most apps use a database."""

import re
from functools import partial

from bench.loads.load import Figure, Load, Measured, Turn
from bench.programs import LOOPBACK, Broken, tool
from bench.targets import DATABASE, POSTGRES, SCALE, pgbench

CLIENTS = (1, 16)


def load(*, quick: bool) -> Load:
    counts = CLIENTS[1:] if quick else CLIENTS
    figures = [
        figure
        for count in counts
        for figure in (
            Figure(f"pgbench.{count}.tps", _clients(count), "tps", digits=0),
            Figure(
                f"pgbench.{count}.latency", f"{_clients(count)}, mean", "ms", more_is_better=False, digits=3
            ),
        )
    ]
    return Load(
        "pgbench",
        "PostgreSQL, pgbench -S",
        f"pgbench -S with one thread, at scale {SCALE}, PostgreSQL 18.",
        tuple(figures),
        partial(_measure, counts),
        needs=(POSTGRES,),
        rounds=1 if quick else None,
    )


def _measure(counts: tuple[int, ...], turn: Turn) -> Measured:
    database = turn.targets.database
    if database is None:
        raise AssertionError("this load needs its database")
    values = {}
    for count in counts:
        where = ["-h", LOOPBACK, "-p", str(turn.port(POSTGRES)), "-U", database.user, DATABASE]
        shape = ["-S", "-n", "-c", str(count), "-j", "1", "-T", str(turn.seconds)]
        said = tool([pgbench(), *shape, *where], turn.seconds, {"PGPASSWORD": database.password})
        values[f"pgbench.{count}.tps"], values[f"pgbench.{count}.latency"] = parse(said)
    return Measured(values)


def parse(said: str) -> tuple[float, float]:
    """Transactions per second, and the mean latency in milliseconds."""
    tps = re.search(r"^tps = ([\d.]+) ", said, re.MULTILINE)
    latency = re.search(r"^latency average = ([\d.]+) ms", said, re.MULTILINE)
    if not tps or not latency:
        raise Broken(f"pgbench said what nobody expects: {' / '.join(said.splitlines())}")
    return float(tps[1]), float(latency[1])


def _clients(count: int) -> str:
    return f"{count} client{'s' if count > 1 else ''}"
