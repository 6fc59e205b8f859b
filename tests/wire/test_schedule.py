"""What leaves first: control frames, credit, and then the streams in fair turns."""

import pytest

from aditus.wire.credit import MAX_WINDOW, Budget, ReceiveWindow
from aditus.wire.frames import (
    DATA,
    HEADER_SIZE,
    MAX_DATA,
    FrameType,
    decode_header,
    encode_ping,
    encode_window,
)
from aditus.wire.schedule import QUANTUM, Scheduler
from aditus.wire.stream import Move, State, Stream

PING = encode_ping(bytes(8))


def a_stream(number: int, credit: int = MAX_WINDOW, waiting: int = 0) -> Stream:
    budget = Budget(MAX_WINDOW)
    stream = Stream(number, 22, State.OPEN, credit, ReceiveWindow(budget, 0, MAX_WINDOW, 0.0))
    if waiting:
        stream.enqueue(bytes(waiting))
    return stream


def leave(schedule: Scheduler, frames: int = 1_000) -> list[tuple[int, int, int]]:
    """(type, stream, payload size) of the next frames."""
    left = []
    for _ in range(frames):
        found = schedule.next()
        if found is None:
            break
        kind, _arg, number = decode_header(found[0])
        left.append((kind, number, len(found[0]) - HEADER_SIZE))
    return left


def test_control_goes_before_credit_and_credit_before_data() -> None:
    schedule, stream = Scheduler(), a_stream(1, waiting=5)
    schedule.ready(stream)
    schedule.grant(stream, 100)
    schedule.control(PING)
    assert (schedule.idle, schedule.backlog) == (False, len(PING))
    assert [kind for kind, _, _ in leave(schedule)] == [FrameType.PING, FrameType.WINDOW, FrameType.DATA]
    assert (schedule.idle, schedule.backlog) == (True, 0)


def test_the_credit_of_one_stream_becomes_one_window() -> None:
    schedule, stream = Scheduler(), a_stream(7)
    schedule.grant(stream, 100)
    schedule.grant(stream, 23)
    assert schedule.next() == (encode_window(7, 123), None)
    assert schedule.next() is None
    schedule.grant(stream, 1)
    assert schedule.next() == (encode_window(7, 1), None)


def test_a_stream_alone_sends_large_frames() -> None:
    schedule, stream = Scheduler(), a_stream(1, waiting=MAX_DATA + 10)
    schedule.ready(stream)
    assert leave(schedule) == [(DATA, 1, MAX_DATA), (DATA, 1, 10)]


def test_several_take_turns_and_a_short_message_waits_for_one_turn_of_each() -> None:
    schedule = Scheduler()
    bulk = [a_stream(number, waiting=1_000_000) for number in (1, 2)]
    for stream in bulk:
        schedule.ready(stream)
    assert leave(schedule, 3) == [(DATA, 1, QUANTUM), (DATA, 2, QUANTUM), (DATA, 1, QUANTUM)]
    schedule.ready(a_stream(3, waiting=64))
    assert leave(schedule, 4) == [(DATA, 2, QUANTUM), (DATA, 1, QUANTUM), (DATA, 3, 64), (DATA, 2, QUANTUM)]


def test_turns_are_fair_in_bytes_and_not_in_frames() -> None:
    schedule = Scheduler()
    large, small = a_stream(1, waiting=10 * QUANTUM), a_stream(2)
    for _ in range(1_000):
        small.queue.append(bytearray(1_024))  # chunks that were not joined
        small.queued += 1_024
    schedule.ready(large)
    schedule.ready(small)
    sent = {1: 0, 2: 0}
    for _, number, size in leave(schedule, 10 * 17):
        sent[number] += size
    assert sent == {1: 10 * QUANTUM, 2: 10 * QUANTUM}


def test_a_stream_that_was_alone_makes_room_as_soon_as_another_comes() -> None:
    schedule = Scheduler()
    stream = a_stream(1, waiting=100)
    stream.enqueue(bytes(1_000_000))
    schedule.ready(stream)
    assert leave(schedule, 1) == [(DATA, 1, 100)]  # of the large turn, much is left
    schedule.ready(a_stream(2, waiting=10))
    assert leave(schedule, 2) == [(DATA, 1, QUANTUM), (DATA, 2, 10)]


def test_without_credit_a_stream_takes_no_turns() -> None:
    schedule, stream = Scheduler(), a_stream(1, credit=10, waiting=15)
    schedule.ready(stream)
    schedule.ready(stream)  # it is in the ring once
    assert leave(schedule) == [(DATA, 1, 10)]
    assert schedule.idle
    schedule.ready(stream)
    assert schedule.idle
    stream.credit = 3
    schedule.ready(stream)
    assert leave(schedule) == [(DATA, 1, 3)]


def test_the_end_comes_after_the_last_byte_and_needs_no_credit() -> None:
    schedule, stream = Scheduler(), a_stream(1, credit=5, waiting=5)
    stream.end()
    schedule.ready(stream)
    assert leave(schedule) == [(DATA, 1, 5), (FrameType.FIN, 1, 0)]
    assert stream.state is State.LOCAL_ENDED
    schedule.ready(stream)
    assert schedule.idle


def test_the_end_waits_while_bytes_wait_for_credit() -> None:
    schedule, stream = Scheduler(), a_stream(1, credit=5, waiting=6)
    stream.end()
    schedule.ready(stream)
    assert leave(schedule) == [(DATA, 1, 5)]
    stream.credit = 1
    schedule.ready(stream)
    assert leave(schedule) == [(DATA, 1, 1), (FrameType.FIN, 1, 0)]


@pytest.mark.parametrize("granted", [0, 10])
@pytest.mark.parametrize("waiting", [0, 10])
def test_a_dead_stream_leaves_nothing_behind(waiting: int, granted: int) -> None:
    schedule, stream, other = Scheduler(), a_stream(1, waiting=waiting), a_stream(2, waiting=1)
    schedule.ready(stream)
    schedule.ready(other)
    if granted:
        schedule.grant(stream, granted)
    stream.move(Move.RECV_RESET)
    schedule.forget(stream)
    assert leave(schedule) == [(DATA, 2, 1)]
    assert schedule.idle
