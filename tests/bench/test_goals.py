"""Goals are judged by the median of the rounds, against the best peer of the run."""

import pytest

from bench.goals import CHAIN, GOALS, PEERS, SSH_BOTH, Goal, verdicts
from bench.loads.every import every
from tests.bench.given import results


def only(figure: str, to: tuple[str, ...] = PEERS) -> Goal:
    (goal,) = (goal for goal in GOALS if goal.figure == figure and goal.to == to)
    return goal


def outcome(goal: Goal, values: dict[str, list[float | None]]) -> tuple[str, str]:
    """How this goal comes out, and against whom."""
    (verdict,) = (each for each in verdicts(results({goal.figure: values})) if each.goal == goal)
    return verdict.outcome, verdict.against


def test_more_than_the_best_peer_by_the_factor_is_reached() -> None:
    values: dict[str, list[float | None]] = {"aditus": [10.0, 10.0], "ssh": [8.0, 7.0], "frp": [2.0, 2.0]}
    assert outcome(only("bulk.down"), values) == ("reached", "ssh")


def test_less_is_told_with_what_is_missing() -> None:
    values: dict[str, list[float | None]] = {"aditus": [5.0], "ssh": [8.0]}
    assert outcome(only("bulk.down"), values) == ("not reached, by 50 %", "ssh")


def test_latency_has_to_be_below_and_the_best_peer_is_the_quickest() -> None:
    values: dict[str, list[float | None]] = {"aditus": [0.12], "ssh": [0.3], "rathole": [0.1]}
    assert outcome(only("http.1.p50"), values) == ("not reached, by 50 %", "rathole")


def test_a_goal_in_units_needs_no_peer() -> None:
    goal = only("lists.p99", ())
    assert outcome(goal, {"aditus": [9.0, 12.0, 8.0]}) == ("reached", "")


def test_three_hops_are_held_to_three_hops_and_two_to_two() -> None:
    two: dict[str, list[float | None]] = {"aditus": [7.0], "ssh": [5.0]}
    three: dict[str, list[float | None]] = {"sidecar": [3.0], "ssh-both": [2.0]}
    assert outcome(only("bulk.down", SSH_BOTH), two | three) == ("reached", "ssh-both")
    assert outcome(only("bulk.down"), two | three) == ("reached", "ssh")
    assert outcome(only("bulk.down"), three) == ("not measured", "")


def test_what_was_not_measured_is_not_reached() -> None:
    assert outcome(only("bulk.up", CHAIN), {"aditus": [10.0]}) == ("not measured", "")
    assert not any(verdict.is_reached for verdict in verdicts(results({})))


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: f"{goal.figure} {goal.wanted}")
def test_every_goal_is_about_a_figure_that_some_load_yields(goal: Goal) -> None:
    figures = {figure.key: figure for load in every(quick=False) for figure in load.figures}
    assert figures[goal.figure].more_is_better == (goal.sign == "≥")
