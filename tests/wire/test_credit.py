"""Windows and budgets: what a peer may send, and what that may cost us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.wire.credit import EIGHTH, FIRST_WINDOW, LONGEST_BURST, Budget, ReceiveWindow
from aditus.wire.errors import Misuse, Violation

RTT = 0.1


def a_window(budget: Budget, first: int = 16_000, limit: int = 128_000) -> ReceiveWindow:
    assert budget.reserve(first)
    return ReceiveWindow(budget, first, limit, 0.0)


def turn(window: ReceiveWindow, size: int, now: float, rtt: float = RTT) -> int:
    """The peer sends `size` bytes and they are consumed at `now`."""
    window.receive(size)
    return window.consume(size, now, rtt)


def test_a_session_spends_from_its_process_and_gives_back_to_both() -> None:
    process = Budget(100)
    session, other = Budget(80, process), Budget(80, process)
    assert session.reserve(60)
    assert not session.reserve(21)  # more than the session has
    assert other.reserve(40)
    assert not other.reserve(1)  # more than the process has, and nothing was spent in the session
    assert (session.spent, other.spent, process.spent) == (60, 40, 100)
    session.release(60)
    assert other.reserve(40)
    assert (session.spent, process.spent) == (0, 80)


def test_growth_leaves_the_last_eighth_of_every_budget_to_first_windows() -> None:
    process = Budget(800)
    session, another = Budget(800, process), Budget(10_000, process)
    assert session.reserve(692)
    assert session.reserve(1, growth=True)
    assert not session.reserve(1, growth=True)
    assert not another.reserve(1, growth=True)  # the process's last eighth counts too
    assert session.reserve(7)
    assert (session.short, another.short) == (False, False)
    assert session.reserve(1)
    assert (session.short, another.short) == (True, True)
    assert session.reserve(99)


def test_wide_windows_that_idle_leave_others_room_to_grow() -> None:
    budget, sizes = Budget(100_000_000), []
    for _ in range(20):
        window = a_window(budget, limit=8_000_000)
        for now in range(1, 20):
            turn(window, window.size, now=RTT * now * 1.1)
        sizes.append(window.size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[:7] == [8_000_000] * 7
    assert sizes[-1] == 512_000  # the twentieth is not yet as narrow as at first
    assert not budget.short


def test_credit_comes_back_in_halves() -> None:
    budget = Budget(16_000 * EIGHTH * 2)
    window = a_window(budget)
    assert turn(window, 7_999, now=9.0) == 0
    assert turn(window, 1, now=9.0) == 8_000
    assert (window.outstanding, window.unconsumed, window.returnable) == (16_000, 0, 0)


def test_sending_more_than_the_credit_is_a_violation_and_changes_nothing() -> None:
    window = a_window(Budget(16_000))
    window.receive(15_999)
    with pytest.raises(Violation, match="2 bytes were sent with 1 bytes of credit"):
        window.receive(2)
    window.receive(1)


def test_consuming_what_was_not_received_is_our_own_defect() -> None:
    window = a_window(Budget(16_000))
    window.receive(5)
    with pytest.raises(Misuse, match="6 bytes were consumed where 5 were received"):
        window.consume(6, 0.0, RTT)


def test_a_window_doubles_while_it_is_the_bottleneck_and_stops_at_its_limit() -> None:
    budget = Budget(10_000_000)
    window, now, sizes = a_window(budget), 0.0, []
    for _ in range(8):  # half a window each time, and a bit more than one for each round trip
        now += RTT * 0.6
        turn(window, window.size // 2, now)
        sizes.append(window.size)
    assert sizes == [16_000, 32_000, 32_000, 64_000, 64_000, 128_000, 128_000, 128_000]
    assert budget.spent == 128_000
    assert window.outstanding == 128_000


def test_a_window_that_is_wide_enough_does_not_grow() -> None:
    window = a_window(Budget(10_000_000))
    assert turn(window, 8_000, now=RTT * 1.1) == 8_000
    assert turn(window, 16_000, now=RTT * 3.2) == 16_000
    assert window.size == 16_000


def test_a_window_that_comes_and_goes_in_one_piece_grows_too() -> None:
    """One frame fills the first window and is consumed at once, then a round trip passes."""
    window = a_window(Budget(10_000_000))
    assert turn(window, 16_000, now=RTT * 1.9) == 32_000
    assert window.size == 32_000


@pytest.mark.parametrize(("halves", "size"), [(8, 16_000), (9, 32_000)])
def test_a_burst_is_measured_over_a_while_and_against_the_shortest_turn(halves: int, size: int) -> None:
    """In 4.04 ms a window of 16,000 can pass 8.1 times when the round trip is 0.5 ms: 4.05 times is half."""
    window, now = a_window(Budget(10_000_000)), LONGEST_BURST * 1.01
    for half in range(1, halves):
        assert turn(window, 8_000, now=now * half / halves, rtt=0.0) == 8_000
    turn(window, 8_000, now, rtt=0.0)
    assert window.size == size


def test_a_window_does_not_grow_beyond_what_the_budget_has_left() -> None:
    budget = Budget(200_000)
    window = a_window(budget)
    assert turn(window, 16_000, now=0.11) == 16_000 + 16_000
    assert turn(window, 32_000, now=0.22) == 32_000  # 32,000 more would be too much
    assert budget.spent == 32_000


def test_a_wide_window_shrinks_when_the_budget_is_short_and_never_below_the_first() -> None:
    budget = Budget(400_000)
    window = a_window(budget)
    turn(window, 16_000, now=0.11)
    turn(window, 32_000, now=0.22)
    assert window.size == 64_000
    assert budget.reserve(288_000)  # other streams
    assert turn(window, 32_000, now=0.33) == 0
    assert (window.size, window.outstanding) == (32_000, 32_000)
    assert budget.reserve(32_000)
    assert turn(window, 32_000, now=0.44) == 16_000
    assert (window.size, window.outstanding) == (16_000, 16_000)


def test_after_the_end_only_what_is_held_is_paid_for() -> None:
    budget = Budget(16_000)
    window = a_window(budget)
    turn(window, 1_000, now=1.0)
    window.receive(5_000)
    window.end()
    assert budget.spent == 5_000
    assert window.consume(4_000, 1.0, RTT) == 0
    assert budget.spent == 1_000
    window.close()
    assert budget.spent == 0


@given(
    st.lists(
        st.tuples(st.integers(1, 200_000), st.integers(1, 200_000), st.sampled_from([0.0, 0.01, 1.0])),
        max_size=60,
    ),
    st.integers(FIRST_WINDOW, FIRST_WINDOW * 60),
)
def test_every_byte_of_a_window_is_accounted_for(script: list[tuple[int, int, float]], limit: int) -> None:
    budget, now = Budget(limit), 0.0
    window = a_window(budget, FIRST_WINDOW, FIRST_WINDOW * 8)
    for sent, consumed, pause in script:
        now += pause
        before = window.outstanding
        window.receive(min(sent, before))
        spare = window.outstanding
        increment = window.consume(min(consumed, window.unconsumed), now, RTT)
        assert window.outstanding == spare + increment
        assert window.outstanding + window.unconsumed + window.returnable == window.size == budget.spent
        assert FIRST_WINDOW <= window.size <= min(limit, FIRST_WINDOW * 8)
        assert window.outstanding > 0 or window.unconsumed > 0, "the peer would wait for ever"
    window.close()
    assert budget.spent == 0
