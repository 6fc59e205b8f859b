"""PING, PONG, and what follows from silence."""

from aditus.wire.frames import HEADER_SIZE
from aditus.wire.liveness import DEAD_AFTER, PING_AFTER, Liveness
from tests.wire.dialogue import attached


def test_bytes_that_are_no_frame_yet_are_a_sign_of_life_and_time_never_runs_back() -> None:
    talk = attached()
    talk.relay.heard(40.0)
    talk.relay.heard(30.0)
    assert talk.relay.tick(84.0)
    assert not talk.relay.tick(85.0)


def test_a_silent_peer_is_asked_twice_and_then_dead() -> None:
    liveness, now, asked = Liveness(100.0), 100.0, []
    while not liveness.dead(now):
        if liveness.must_ask(now):
            liveness.ping(now)
            asked.append(now - 100)
        assert liveness.next_at() > now
        now = liveness.next_at()
    assert asked == [PING_AFTER, 2 * PING_AFTER]
    assert now == 100 + DEAD_AFTER


def test_whoever_is_heard_is_not_asked() -> None:
    liveness = Liveness(0.0)
    for now in range(0, 100, 10):
        liveness.heard_at = float(now)
        assert not liveness.must_ask(now + 14.9)
        assert not liveness.dead(now + 44.9)
    assert liveness.next_at() == 90 + PING_AFTER


def test_the_round_trip_follows_a_shorter_answer_at_once_and_a_longer_one_slowly() -> None:
    liveness, now = Liveness(0.0), 0.0
    seen = []
    for answer_after in (0.1, 0.02, 0.18, 0.0199):
        question = liveness.ping(now)[HEADER_SIZE:]
        now += answer_after
        liveness.pong(question, now)
        seen.append(round(liveness.rtt, 4))
    assert seen == [0.1, 0.02, 0.0213, 0.0199]


def test_only_the_answer_to_the_last_question_counts() -> None:
    liveness = Liveness(0.0)
    first = liveness.ping(0.0)[HEADER_SIZE:]
    second = liveness.ping(1.0)[HEADER_SIZE:]
    assert first != second
    liveness.pong(first, 1.5)
    assert liveness.rtt == 0.0
    liveness.pong(second, 1.25)
    liveness.pong(second, 9.0)  # once
    assert liveness.rtt == 0.25


def test_it_is_measured_once_a_second_at_most_and_one_question_at_a_time() -> None:
    liveness = Liveness(0.0)
    assert not liveness.must_measure(0.9)
    assert liveness.must_measure(1.0)
    question = liveness.ping(1.0)[HEADER_SIZE:]
    assert not liveness.must_measure(5.0)
    liveness.pong(question, 5.0)
    assert liveness.must_measure(5.0)
