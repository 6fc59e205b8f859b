"""Conversations between a relay and an agent: streams, their ends, credit, draining, silence."""

from dataclasses import replace

import pytest

from aditus.wire.credit import FIRST_WINDOW, Budget
from aditus.wire.errors import CannotOpen, Misuse, ResetReason, Violation
from aditus.wire.events import (
    AcceptReceived,
    DataReceived,
    Event,
    FinReceived,
    GoawayReceived,
    OpenReceived,
    ResetReceived,
)
from aditus.wire.fields import MAX_TEXT
from aditus.wire.frames import (
    HEADER,
    MAX_DATA,
    MAX_STREAM_ID,
    FrameType,
    Role,
    encode_accept,
    encode_data,
    encode_fin,
    encode_open,
    encode_ping,
    encode_reset,
    encode_window,
)
from aditus.wire.liveness import DEAD_AFTER, MEASURE_EVERY, PING_AFTER
from aditus.wire.session import CONGESTED_ABOVE, MAX_BACKLOG, Limits
from tests.wire.dialogue import APP, PORT, SERVED, Dialogue, attached, say


def received(events: list[Event]) -> bytes:
    """The bytes of all DATA among the events."""
    return b"".join(bytes(event.data) for event in events if isinstance(event, DataReceived))


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


# --- a conversation from OPEN to both FINs --------------------------------------------------------


def test_a_request_and_its_answer() -> None:
    talk = attached()
    number = talk.relay.open(PORT, APP, talk.now)
    assert talk.to_agent() == [OpenReceived(number, PORT, APP)]
    talk.agent.accept(number)
    assert talk.to_relay() == [AcceptReceived(number)]

    assert talk.relay.send(number, b"question")
    talk.relay.finish(number)
    assert talk.to_agent() == [DataReceived(number, memoryview(b"question")), FinReceived(number)]
    talk.agent.consume(number, 8, talk.now)

    talk.agent.send(number, b"answer")
    talk.agent.finish(number)
    assert talk.to_relay() == [DataReceived(number, memoryview(b"answer")), FinReceived(number)]
    assert talk.agent.over() == [number]
    assert talk.relay.over() == []  # not before the answer is consumed
    assert talk.relay.streams == 1
    talk.relay.consume(number, 6, talk.now)
    assert talk.relay.over() == [number]
    assert (talk.relay.streams, talk.agent.streams) == (0, 0)
    assert (talk.relay_budget.spent, talk.agent_budget.spent) == (0, 0)


def test_an_app_may_speak_and_end_before_the_target_answers() -> None:
    talk = attached()
    number = talk.relay.open(PORT, APP, talk.now)
    talk.relay.send(number, b"early")
    talk.relay.finish(number)
    assert kinds(talk.to_agent()) == ["OpenReceived", "DataReceived", "FinReceived"]
    talk.agent.accept(number)
    talk.agent.consume(number, 5, talk.now)
    assert talk.to_relay() == [AcceptReceived(number)]
    talk.agent.finish(number)
    assert talk.to_relay() == [FinReceived(number)]
    assert (talk.relay.over(), talk.agent.over()) == ([number], [number])


def test_who_has_ended_still_listens() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.finish(number)
    assert talk.to_agent() == [FinReceived(number)]
    for word in (b"you", b"can", b"go", b"on"):
        talk.agent.send(number, word)
        assert received(talk.to_relay()) == word
        talk.relay.consume(number, len(word), talk.now)
    talk.agent.finish(number)
    assert talk.to_relay() == [FinReceived(number)]


def test_both_end_at_the_same_moment() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.finish(number)
    talk.agent.finish(number)
    crossing = say(talk.agent)
    assert talk.to_agent() == [FinReceived(number)]
    assert talk.relay.receive(crossing[0], talk.now) == FinReceived(number)
    assert (talk.relay.over(), talk.agent.over()) == ([number], [number])


@pytest.mark.parametrize("early", [encode_data(1, b"x"), encode_fin(1)])
def test_a_target_that_has_not_answered_says_nothing(early: bytes) -> None:
    talk = attached()
    assert talk.relay.open(PORT, APP, talk.now) == 1
    with pytest.raises(Violation, match="OPENING"):
        talk.relay.receive(early, talk.now)


@pytest.mark.parametrize("late", [encode_data(1, b"x"), encode_fin(1), encode_accept(1)])
def test_after_the_end_nothing_but_credit_and_a_reset_may_come(late: bytes) -> None:
    talk = attached()
    assert talk.stream() == 1
    talk.agent.finish(1)
    talk.to_relay()
    assert talk.relay.receive(encode_window(1, 5), talk.now) is None
    with pytest.raises(Violation, match="REMOTE_ENDED"):
        talk.relay.receive(late, talk.now)


def test_our_own_driver_cannot_send_what_the_peer_would_refuse() -> None:
    talk = attached()
    number = talk.relay.open(PORT, APP, talk.now)
    talk.to_agent()
    for too_early in (lambda: talk.agent.send(number, b"x"), lambda: talk.agent.finish(number)):
        with pytest.raises(Misuse, match="DIALING"):
            too_early()
    talk.relay.finish(number)
    for too_late in (
        lambda: talk.relay.send(number, b"x"),
        lambda: talk.relay.send_at_once(number, memoryview(b"x")),
        lambda: talk.relay.finish(number),
        lambda: talk.relay.accept(number),
    ):
        with pytest.raises(Misuse, match="OPENING"):
            too_late()


# --- resets ---------------------------------------------------------------------------------------


def test_a_reset_is_final_and_unanswered_and_drops_what_waits() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.send(number, b"never seen")
    talk.relay.reset(number, ResetReason.APP_RESET, "connection reset by peer")
    assert talk.relay.over() == [number]
    assert talk.to_agent() == [ResetReceived(number, ResetReason.APP_RESET, "connection reset by peer")]
    assert talk.agent.over() == [number]
    assert talk.quiet
    talk.relay.reset(number, ResetReason.APP_RESET)  # it is over: nothing is said twice
    talk.agent.consume(number, 5, talk.now)  # its driver let go of bytes a moment later
    assert talk.quiet
    assert (talk.relay_budget.spent, talk.agent_budget.spent) == (0, 0)


def test_what_crosses_a_reset_is_dropped() -> None:
    talk = attached()
    number = talk.stream()
    talk.agent.send(number, b"crossing")
    talk.agent.finish(number)
    crossing = say(talk.agent)
    talk.relay.reset(number, ResetReason.REVOKED)
    for frame in (*crossing, encode_window(number, 7), encode_reset(number, ResetReason.TARGET_RESET)):
        assert talk.relay.receive(frame, talk.now) is None
    assert talk.to_agent() == [ResetReceived(number, ResetReason.REVOKED, "")]


def test_an_agent_refuses_while_it_dials() -> None:
    talk = attached()
    number = talk.relay.open(PORT, APP, talk.now)
    talk.relay.send(number, b"early")
    talk.to_agent()
    talk.agent.reset(number, ResetReason.TARGET_REFUSED, "connection refused")
    assert talk.to_relay() == [ResetReceived(number, ResetReason.TARGET_REFUSED, "connection refused")]
    with pytest.raises(KeyError):
        talk.agent.accept(number)  # the events said that it is over


def test_a_stream_that_both_have_finished_is_forgotten_without_a_word() -> None:
    talk = attached()
    number = talk.stream()
    talk.agent.send(number, b"the app goes before it reads this")
    talk.agent.finish(number)
    talk.to_relay()
    talk.relay.finish(number)
    assert talk.to_agent() == [FinReceived(number)]
    for late in (
        encode_window(number, 1),
        encode_data(number, b"x"),
        encode_reset(number, ResetReason.DRAIN),
    ):
        assert talk.relay.receive(late, talk.now) is None  # for the protocol it is closed
    talk.relay.reset(number, ResetReason.APP_RESET)
    assert talk.quiet
    assert talk.relay.over() == [number]
    assert talk.relay_budget.spent == 0


# --- ids ------------------------------------------------------------------------------------------


def test_ids_rise_and_may_leave_gaps() -> None:
    talk = attached()
    assert talk.agent.receive(encode_open(7, PORT, APP), talk.now) == OpenReceived(7, PORT, APP)
    assert talk.agent.receive(encode_data(3, b"x"), talk.now) is None  # below the highest: closed
    with pytest.raises(Violation, match="OPEN of stream 6 after 7"):
        talk.agent.receive(encode_open(6, PORT), talk.now)
    with pytest.raises(Violation, match="OPEN on stream 7, which is open"):
        talk.agent.receive(encode_open(7, PORT), talk.now)
    talk.agent.reset(7, ResetReason.TARGET_REFUSED)
    with pytest.raises(Violation, match="OPEN of stream 7 after 7"):
        talk.agent.receive(encode_open(7, PORT), talk.now)


def test_a_frame_of_the_session_is_not_dropped_for_having_the_id_of_a_closed_stream() -> None:
    talk = attached()
    number = talk.stream()
    talk.agent.reset(number, ResetReason.TARGET_RESET)
    with pytest.raises(Violation, match="PING for stream 1"):
        talk.agent.receive(HEADER.pack(FrameType.PING, 0, 0, number) + bytes(8), talk.now)


def test_ids_never_wrap() -> None:
    talk = attached(Role.SIDECAR)
    talk.agent._highest = MAX_STREAM_ID - 1
    assert talk.agent.open(PORT, APP, talk.now) == MAX_STREAM_ID
    with pytest.raises(CannotOpen) as refused:
        talk.agent.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.DRAIN
    assert talk.to_relay() == [OpenReceived(MAX_STREAM_ID, PORT, APP)]


# --- credit and queues ----------------------------------------------------------------------------


def test_a_slow_reader_stalls_its_own_stream_alone() -> None:
    talk = attached()
    slow, quick = talk.stream(), talk.stream()
    talk.relay.send(slow, bytes(3 * FIRST_WINDOW))
    assert len(received(talk.to_agent())) == FIRST_WINDOW
    talk.relay.send(quick, b"ping")
    assert talk.to_agent() == [DataReceived(quick, memoryview(b"ping"))]

    talk.agent.consume(slow, FIRST_WINDOW, talk.now + 60)
    assert talk.to_relay() == []
    assert len(received(talk.to_agent())) == FIRST_WINDOW


def test_credit_that_was_not_given_cannot_be_used() -> None:
    talk = attached()
    number = talk.stream()
    talk.agent.receive(encode_data(number, bytes(FIRST_WINDOW)), talk.now)
    with pytest.raises(Violation, match="1 bytes were sent with 0 bytes of credit"):
        talk.agent.receive(encode_data(number, b"x"), talk.now)


def test_a_long_queue_asks_its_writer_to_stop_and_says_when_to_go_on() -> None:
    talk = attached()
    number = talk.stream()
    assert talk.relay.send(number, bytes(CONGESTED_ABOVE))
    assert not talk.relay.send(number, b"x")
    assert talk.relay.relieved() == []
    assert not talk.relay.quiet  # there is something to send
    talk.to_agent()  # as far as credit goes: a first window
    assert not talk.relay.quiet  # there is somebody to tell
    assert talk.relay.relieved() == [number]
    talk.agent.consume(number, FIRST_WINDOW, talk.now)
    talk.to_relay()
    assert received(talk.to_agent()) == b"x"
    assert talk.relay.relieved() == []


def test_a_session_with_nothing_to_say_is_quiet() -> None:
    assert attached().relay.quiet


def test_an_empty_write_is_no_frame() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.send(number, bytes(20_000))
    assert talk.relay.send(number, b"")
    talk.relay.send(number, bytes(20_000))
    assert [len(event.data) for event in talk.to_agent() if isinstance(event, DataReceived)] == [
        20_000,
        20_000,
    ]
    assert talk.relay.send_at_once(number, memoryview(b"")) is None


def test_data_goes_at_once_only_when_nothing_waits_before_it() -> None:
    talk = attached(agent_limits=Limits(first_window=1_048_576))
    number, other = talk.stream(), talk.stream()
    frame = talk.relay.send_at_once(number, memoryview(b"hello"))
    assert frame is not None
    assert talk.agent.receive(frame, talk.now) == DataReceived(number, memoryview(b"hello"))
    assert talk.relay.send_at_once(number, memoryview(bytes(MAX_DATA + 1))) is None
    talk.relay.send(other, b"first")
    assert talk.relay.send_at_once(number, memoryview(b"second")) is None
    talk.relay.send(number, b"second")
    assert received(talk.to_agent()) == b"firstsecond"


def test_bytes_that_wait_for_credit_are_not_overtaken() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.send(number, bytes(FIRST_WINDOW) + b"waits")
    talk.to_agent()
    assert talk.quiet
    assert talk.relay.send_at_once(number, memoryview(b"too early")) is None


def test_a_busy_stream_measures_the_round_trip_and_its_window_grows() -> None:
    talk = attached()
    number, total = talk.stream(), 0
    talk.relay.send(number, bytes(4_000_000))
    for _ in range(100):
        talk.now += 0.02  # each way
        got = len(received(talk.to_agent()))
        total += got
        talk.agent.consume(number, got, talk.now)
        talk.now += 0.02
        talk.to_relay()
    assert total == 4_000_000
    assert talk.agent.rtt == pytest.approx(0.04)
    assert talk.agent_budget.spent > 4 * FIRST_WINDOW
    assert talk.now > MEASURE_EVERY


def test_a_stream_is_admitted_only_if_its_first_window_can_be_paid() -> None:
    talk = Dialogue(agent_budget=Budget(FIRST_WINDOW), relay_budget=Budget(3 * FIRST_WINDOW)).attach()
    first = talk.stream()
    second = talk.relay.open(PORT, APP, talk.now)
    assert talk.to_agent() == []
    assert talk.to_relay() == [ResetReceived(second, ResetReason.LIMIT, "")]
    talk.relay.reset(first, ResetReason.APP_RESET)
    talk.to_agent()
    assert talk.stream() == 3
    assert talk.agent_budget.spent == FIRST_WINDOW

    talk.relay_budget.reserve(2 * FIRST_WINDOW)
    with pytest.raises(CannotOpen) as refused:
        talk.relay.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.LIMIT


def test_more_streams_than_announced_are_reset() -> None:
    talk = attached(agent_limits=Limits(max_streams=1))
    assert talk.agent.receive(encode_open(1, PORT), talk.now) == OpenReceived(1, PORT, "")
    assert talk.agent.receive(encode_open(2, PORT), talk.now) is None
    assert say(talk.agent) == [encode_reset(2, ResetReason.LIMIT)]


def test_a_half_closed_stream_pays_only_for_what_it_holds() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.send(number, b"12345")
    talk.relay.finish(number)
    talk.to_agent()
    assert talk.agent_budget.spent == 5
    talk.agent.consume(number, 5, talk.now)
    assert talk.agent_budget.spent == 0
    assert talk.agent.streams == 1


# --- leaving --------------------------------------------------------------------------------------


def test_a_leaving_relay_opens_streams_until_its_agent_leaves_and_those_go_on() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.go_away(30, "drain")
    assert talk.to_agent() == [GoawayReceived(30, "drain")]
    assert talk.agent.peer_leaves
    later = talk.stream()
    talk.agent.go_away(30, "elsewhere")
    assert talk.to_relay() == [GoawayReceived(30, "elsewhere")]
    assert talk.relay.peer_leaves
    with pytest.raises(CannotOpen) as refused:
        talk.relay.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.DRAIN
    for stream in (number, later):
        talk.agent.send(stream, b"still here")
        assert received(talk.to_relay()) == b"still here"


def test_an_open_that_crosses_goaway_is_refused() -> None:
    talk = attached()
    talk.agent.go_away(5, "stopping")
    number = talk.relay.open(PORT, APP, talk.now)
    assert talk.to_agent() == []
    assert talk.to_relay() == [GoawayReceived(5, "stopping"), ResetReceived(number, ResetReason.DRAIN, "")]
    with pytest.raises(CannotOpen):
        talk.relay.open(PORT, APP, talk.now)


def test_the_end_of_the_websocket_cuts_what_is_not_finished() -> None:
    talk = attached()
    cut, done = talk.stream(), talk.stream()
    talk.agent.send(done, b"all of it")
    talk.agent.finish(done)
    talk.to_relay()
    talk.relay.finish(done)
    talk.to_agent()
    assert talk.relay.close() == [cut]  # the other has its end: it only waits for a slow app
    assert sorted(talk.relay.over()) == [cut, done]
    assert talk.relay.streams == 0
    assert talk.relay_budget.spent == 0


def test_a_closed_session_says_and_takes_nothing_more() -> None:
    talk = attached()
    number = talk.stream()
    talk.relay.send(number, b"too late")
    talk.agent.send(number, b"too late")
    late = [*say(talk.agent), encode_ping(bytes(8)), encode_open(number + 2, PORT)]
    pending = talk.relay.open(PORT, APP, talk.now)
    assert talk.relay.close() == [number, pending]
    assert talk.relay.close() == []
    for frame in late:
        assert talk.relay.receive(frame, talk.now) is None
    talk.relay.consume(number, 8, talk.now)
    talk.relay.reset(number, ResetReason.REVOKED)
    talk.relay.send_status(SERVED)
    talk.relay.go_away(0, "drain")
    talk.relay.tick(talk.now + PING_AFTER)
    assert not talk.relay.registered
    assert say(talk.relay) == []
    assert talk.relay_budget.spent == 0


# --- silence and floods ---------------------------------------------------------------------------


def test_a_silent_peer_is_asked_and_then_given_up() -> None:
    talk = attached()
    assert talk.relay.next_tick() == PING_AFTER
    assert talk.relay.tick(PING_AFTER)
    [question] = say(talk.relay)
    talk.agent.receive(question, PING_AFTER)
    [answer] = say(talk.agent)
    assert talk.relay.receive(answer, PING_AFTER + 0.1) is None
    assert talk.relay.tick(PING_AFTER + 0.1 + DEAD_AFTER - 0.001)
    assert not talk.relay.tick(PING_AFTER + 0.1 + DEAD_AFTER)


def test_nobody_is_asked_before_the_handshake() -> None:
    talk = Dialogue()
    say(talk.relay)
    assert talk.relay.tick(PING_AFTER)
    assert talk.agent.tick(PING_AFTER)
    assert talk.quiet
    assert not talk.agent.tick(DEAD_AFTER)


def test_a_peer_that_asks_and_never_reads_is_cut_before_it_costs_much() -> None:
    talk = attached(Role.SIDECAR)

    def flood() -> None:
        for number in range(1, MAX_BACKLOG):
            talk.relay.receive(encode_open(number, PORT), talk.now)
            talk.relay.reset(number, ResetReason.NO_AGENT, "x" * MAX_TEXT)

    with pytest.raises(Violation, match="asks and does not read"):
        flood()
    assert MAX_BACKLOG <= sum(map(len, say(talk.relay))) < MAX_BACKLOG + 300
    talk.relay.receive(encode_ping(bytes(8)), talk.now)  # who reads may ask again


def test_a_relay_opens_nothing_more_towards_an_agent_that_does_not_read() -> None:
    talk = attached()
    long = replace(SERVED, warnings=("x" * MAX_TEXT,) * 60)
    for _ in range(MAX_BACKLOG // 15_000):
        talk.relay.send_status(long)
    with pytest.raises(CannotOpen) as refused:
        talk.relay.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.LIMIT
    talk.to_agent()
    assert talk.stream() == 1


def test_streams_that_die_before_their_turn_leave_no_trace() -> None:
    """The peer resets what we want to send, without reading: nothing of it may pile up."""
    talk = attached()
    for _ in range(50):
        number = talk.stream()
        talk.agent.receive(encode_data(number, bytes(FIRST_WINDOW)), talk.now)
        talk.agent.consume(number, FIRST_WINDOW, talk.now)
        talk.agent.send(number, b"waits for its turn")
        talk.agent.receive(encode_reset(number, ResetReason.APP_RESET), talk.now)
        talk.relay.reset(number, ResetReason.APP_RESET)
        talk.to_agent()
    assert not talk.agent._schedule._ring
    assert not talk.agent._schedule._grants
    assert talk.agent_budget.spent == 0


def test_who_watches_a_stream_is_told_what_leaves_its_queue() -> None:
    talk = attached()
    watched, other = talk.stream(), talk.stream()
    talk.relay.watch(watched)
    talk.relay.send(watched, b"w" * 5000)
    talk.relay.send(other, b"o" * 5000)
    assert talk.relay.sent() == []
    talk.to_agent()
    assert not talk.relay.quiet
    assert talk.relay.sent() == [(watched, 5000)]
    talk.relay.finish(watched)
    talk.to_agent()
    assert talk.relay.sent() == []
