"""Ratios are taken between neighbours in time, and gaps stay gaps."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import Results, Spread
from tests.bench.given import results

SPEEDS = st.floats(min_value=0.001, max_value=1e9)


@given(st.lists(SPEEDS, min_size=1, max_size=9))
def test_a_machine_that_gets_slower_changes_no_ratio(rounds: list[float]) -> None:
    """Each round has its own speed of the machine; ours is twice theirs in all of them."""
    run = results({"f": {"ours": [2 * speed for speed in rounds], "theirs": list(rounds)}})
    spread = run.ratio("f", "ours", "theirs")
    assert spread is not None
    assert (spread.low, spread.median, spread.high) == pytest.approx((2.0, 2.0, 2.0))


def test_a_round_that_failed_on_either_side_is_in_no_ratio() -> None:
    run = results({"f": {"ours": [4.0, None, 9.0, 1.0], "theirs": [2.0, 5.0, 3.0]}})
    assert run.ratio("f", "ours", "theirs") == Spread(2.0, 2.5, 3.0)


def test_what_was_not_measured_has_no_ratio_and_no_best() -> None:
    run = results({"f": {"ours": [4.0]}})
    assert run.ratio("f", "ours", "theirs") is None
    assert run.spread("g", "ours") is None
    assert run.best("f", ["theirs"], more_is_better=True) is None


def test_the_best_has_the_best_median_not_the_best_round() -> None:
    run = results({"f": {"steady": [5.0, 5.0, 5.0], "lucky": [9.0, 1.0, 1.0]}})
    assert run.best("f", ["steady", "lucky"], more_is_better=True) == "steady"
    assert run.best("f", ["steady", "lucky"], more_is_better=False) == "lucky"


def test_rounds_find_their_place_when_one_is_left_out() -> None:
    run = Results()
    run.add("ours", 0, {"f": 1.0}, {})
    run.add("ours", 2, {"f": 3.0}, {"c": [1.0, 2.0]})
    assert run.values == {"f": {"ours": [1.0, None, 3.0]}}
    assert run.curve("c", "ours") == [1.0, 2.0]


def test_raw_results_come_back_from_json() -> None:
    run = results({"f": {"ours": [4.0, None]}})
    run.failures.append("it rained")
    assert Results.from_json(json.loads(json.dumps(run.to_json()))) == run
