"""What a limit's row says of what was measured."""

import pytest

from bench.limits.row import Goal, Row, percentiles, spread


def test_a_row_says_what_was_reached_and_by_how_much_not() -> None:
    goals = (Goal("p99", "≤", 100.0), Goal("last", "≤", 500.0))
    row = Row("revoke", "commit to cut", "ms", {"p50": 9.0, "p99": 130.0, "last": 500.0}, goals, "50 keys")
    assert str(row) == (
        "revoke    commit to cut: p50 9 · p99 130 · last 500 ms — "
        "goal p99 ≤ 100: not reached, by 30 (30 %); goal last ≤ 500: reached — 50 keys"
    )
    assert not row.is_reached


@pytest.mark.parametrize(("kept", "outcome"), [(90.0, "reached"), (72.0, "not reached, by 18 (20 %)")])
def test_a_goal_may_be_a_lower_bound(kept: float, outcome: str) -> None:
    assert Goal("median", "≥", 90.0).outcome(kept) == outcome


def test_a_row_without_a_goal_misses_none() -> None:
    assert Row("idle", "processor time", "ms", {"each": 1.5}).is_reached


def test_percentiles_are_values_that_were_measured() -> None:
    assert percentiles([float(number) for number in range(200, 0, -1)]) == {
        "p50": 100.0,
        "p99": 198.0,
        "last": 200.0,
    }
    assert percentiles([7.0]) == {"p50": 7.0, "p99": 7.0, "last": 7.0}


def test_a_spread_is_of_rounds() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"min": 1.0, "median": 2.0, "max": 3.0}
