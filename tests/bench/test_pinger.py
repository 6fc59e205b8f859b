"""Percentiles are those of the round trips, and the ping-pong is one."""

import sys
from contextlib import ExitStack
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bench.pinger import PERCENTS, percentiles, ping
from bench.programs import Place, echoes, free_ports


@given(st.lists(st.integers(min_value=1, max_value=10**12), min_size=1, max_size=300))
def test_percentiles_rise_and_stay_among_what_was_measured(took: list[int]) -> None:
    found = percentiles(sorted(took))
    assert len(found) == len(PERCENTS)
    assert found == sorted(found)
    assert set(found) <= {round(each / 1e6, 4) for each in took}


def test_the_median_of_a_hundred_is_in_their_middle() -> None:
    found = percentiles([number * 1_000_000 for number in range(100)])
    assert found[PERCENTS.index(50)] == 50.0
    assert found[PERCENTS.index(99)] == 99.0


def test_bytes_come_back_from_the_echo_and_it_ends_with_its_place(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        echo = Place(tmp_path, stack).start("echo", [sys.executable, "-m", "bench.echo", str(port)])
        echo.wait_listening(port)
        assert echoes(port)
        took = ping(port, 0.1)
        assert took
        assert took == sorted(took)
        assert echo.resident() > 0
    assert echo.ended()
    assert not echoes(port)
