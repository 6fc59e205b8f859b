"""How the agents of a relay that is gone come back: spread out, whenever it is there again."""

from collections import Counter

import pytest

from aditus.net.link import Backoff

AGENTS = 20_000


def dials(absence: float) -> list[list[float]]:
    """When each of many agents dials a relay that was killed at 0 and is back after `absence` seconds."""
    return [_dials(absence) for _ in range(AGENTS)]


def _dials(absence: float) -> list[float]:
    backoff = Backoff()
    backoff.reset()
    times = [backoff.next()]
    while times[-1] < absence:
        times.append(times[-1] + backoff.next())
    return times


@pytest.mark.parametrize("absence", [0.0, 1.0, 2.0, 5.0, 10.0, 30.0, 300.0])
def test_no_second_has_many_more_dials_than_others(absence: float) -> None:
    seconds = Counter(int(moment) for times in dials(absence) for moment in times)
    first = [seconds[second] for second in range(5)]
    later = [count for second, count in seconds.items() if second >= 5]
    assert max(first) <= 0.22 * sum(first)
    assert max(later, default=0) <= 0.15 * AGENTS


@pytest.mark.parametrize(
    ("absence", "latest"), [(0.0, 5), (1.9, 12), (4.9, 12), (11.9, 26), (25.9, 56), (60.0, 120), (300.0, 360)]
)
def test_all_are_back_soon_after_the_relay(absence: float, latest: float) -> None:
    assert max(times[-1] for times in dials(absence)) <= latest


def test_two_tries_are_never_closer_than_a_second_after_the_first() -> None:
    for _ in range(1_000):
        backoff = Backoff()
        backoff.reset()
        backoff.next()
        assert all(1 <= backoff.next() <= 60 for _ in range(8))


def test_who_was_never_attached_tries_sooner_and_sees_sooner_that_it_is_of_no_use() -> None:
    backoff = Backoff()
    assert 0 <= backoff.next() <= 5
    for longest in (4, 8, 16, 32, 60, 60):
        assert 1 <= backoff.next() <= longest
