"""Each load is for the ways that it can tell something of."""

import pytest

from bench.goals import GOALS
from bench.loads.every import every
from bench.ways.every import EVERY, THREE_HOPS, TWO_HOPS
from bench.ways.way import Way

NAMES = {way.name for way in EVERY}


def test_names_of_ways_are_their_own() -> None:
    assert len(NAMES) == len(EVERY) == len(TWO_HOPS) + len(THREE_HOPS)


@pytest.mark.parametrize("way", THREE_HOPS, ids=lambda way: way.name)
def test_ways_of_three_hops_meet_all_loads_of_their_goals(way: type[Way]) -> None:
    wanted = {goal.figure for goal in GOALS if goal.ours == "sidecar"}
    loads = [load for load in every(quick=False) if load.ways is None or way.name in load.ways]
    assert wanted <= {figure.key for load in loads for figure in load.figures}
    assert {load.name for load in loads} == {"bulk", "http", "connect", "pingpong"}


def test_a_quick_run_has_no_time_for_three_hops() -> None:
    three = {way.name for way in THREE_HOPS}
    assert all(load.ways and not load.ways & three for load in every(quick=True))
