"""One stream: its table of states, and its queue."""

import pytest

from aditus.wire.credit import FIRST_WINDOW, MAX_WINDOW, Budget, ReceiveWindow
from aditus.wire.errors import Misuse, Violation
from aditus.wire.stream import COALESCE_BELOW, TRANSITIONS, Move, State, Stream

PEERS = {Move.RECV_ACCEPT, Move.RECV_FIN, Move.RECV_RESET}


def a_stream(state: State = State.OPEN, credit: int = FIRST_WINDOW) -> Stream:
    budget = Budget(FIRST_WINDOW)
    assert budget.reserve(FIRST_WINDOW)
    return Stream(1, 5432, state, credit, ReceiveWindow(budget, FIRST_WINDOW, MAX_WINDOW, 0.0))


@pytest.mark.parametrize("move", Move)
@pytest.mark.parametrize("state", State)
def test_a_move_without_a_row_is_whose_fault_it_is(state: State, move: Move) -> None:
    stream = a_stream(state)
    if (state, move) in TRANSITIONS:
        stream.move(move)
        assert stream.state is TRANSITIONS[state, move]
        return
    with pytest.raises(Violation if move in PEERS else Misuse, match=state.name):
        stream.move(move)
    assert stream.state is state


def test_every_live_stream_can_be_reset_by_both_and_a_closed_one_by_none() -> None:
    for move in (Move.SEND_RESET, Move.RECV_RESET):
        assert {state for state in State if (state, move) not in TRANSITIONS} == {State.CLOSED}
        assert {TRANSITIONS[state, move] for state in State if state is not State.CLOSED} == {State.CLOSED}


def test_the_two_sides_of_a_stream_never_disagree() -> None:
    """Whatever one side sends, the other has a row for it (one move at a time; crossing ones: properties)."""
    pairs = {(State.OPENING, State.DIALING)}  # before anything is in flight
    mirror = {
        Move.SEND_ACCEPT: Move.RECV_ACCEPT,
        Move.SEND_FIN: Move.RECV_FIN,
        Move.SEND_RESET: Move.RECV_RESET,
    }
    found = set(pairs)
    while found:
        state, other = found.pop()
        for move, answer in mirror.items():
            for sender, receiver, swap in ((state, other, False), (other, state, True)):
                if (sender, move) in TRANSITIONS:
                    after = (TRANSITIONS[sender, move], TRANSITIONS[receiver, answer])
                    pair = (after[1], after[0]) if swap else after
                    if pair not in pairs:
                        pairs.add(pair)
                        found.add(pair)
    assert (State.CLOSED, State.CLOSED) in pairs
    assert {state for pair in pairs for state in pair} == set(State)


def test_nothing_more_can_be_sent_once_the_end_waits_behind_the_queue() -> None:
    stream = a_stream(State.OPENING)
    stream.enqueue(b"last words")
    stream.end()
    stream.move(Move.RECV_ACCEPT)
    assert (stream.state, stream.local_may_send) == (State.OPEN, False)
    assert bytes(stream.take(100)) == b"last words"
    assert stream.wants_to_send  # the FIN


def test_tiny_writes_are_joined_and_large_ones_are_not_copied_together() -> None:
    stream = a_stream()
    for _ in range(COALESCE_BELOW):
        stream.enqueue(b"x")
    assert len(stream.queue) == 1
    stream.enqueue(b"y")
    stream.enqueue(bytes(COALESCE_BELOW))
    assert [len(chunk) for chunk in stream.queue] == [COALESCE_BELOW, 1, COALESCE_BELOW]
    assert stream.queued == 2 * COALESCE_BELOW + 1


def test_bytes_leave_in_order_and_spend_credit() -> None:
    stream = a_stream(credit=10)
    stream.enqueue(b"hello ")
    assert bytes(stream.take(4)) == b"hell"
    stream.enqueue(b"world")  # joins a chunk of which a part has gone
    assert bytes(stream.take(6)) == b"o worl"
    assert (stream.queued, stream.credit, stream.wants_to_send) == (1, 0, False)
    stream.credit = 1
    assert (stream.queued, stream.credit, stream.wants_to_send) == (1, 1, True)


def test_a_closed_stream_is_finished_when_its_last_byte_is_consumed() -> None:
    stream = a_stream(State.REMOTE_ENDED)
    stream.window.receive(3)
    stream.move(Move.SEND_FIN)
    assert (stream.closed, stream.finished) == (True, False)
    stream.window.consume(3, 0.0, 0.0)
    assert (stream.closed, stream.finished) == (True, True)
