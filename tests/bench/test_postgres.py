"""What pgbench says is read as it was meant."""

import pytest

from bench.loads.postgres import parse
from bench.programs import Broken
from tests.bench.given import recorded


def test_rate_and_latency_are_found() -> None:
    said = recorded("pgbench.txt")
    tps, latency = parse(said)
    assert f"tps = {tps:.6f} " in said
    assert f"latency average = {latency:.3f} ms" in said


def test_what_nobody_expects_is_told() -> None:
    with pytest.raises(Broken, match="could not connect"):
        parse("pgbench: error: could not connect")
