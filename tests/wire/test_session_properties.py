"""Two sessions back to back against a simple model, in whatever order things happen.

The model of a stream knows, for each direction, which bytes were sent, whether they ended, and who reset
it. Everything else (credit, budgets, queues) is checked as an equation that holds at every moment.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.wire.credit import Budget
from aditus.wire.errors import CannotOpen, ResetReason
from aditus.wire.events import (
    AcceptReceived,
    DataReceived,
    Event,
    FinReceived,
    GoawayReceived,
    OpenReceived,
    ResetReceived,
)
from aditus.wire.frames import (
    HEADER_SIZE,
    MIN_FIRST_WINDOW,
    FrameType,
    Role,
    decode_header,
    decode_window,
)
from aditus.wire.session import CONGESTED_ABOVE, Limits, Session
from aditus.wire.stream import State
from tests.wire.dialogue import APP, PORT, Dialogue, say

PERIOD = 65_521
PATTERN = Random(1).randbytes(PERIOD) * 2
"""What streams carry, from any byte of the first period on: a shifted, lost or doubled byte shows."""

OPENER, ACCEPTER = 0, 1
ROOM = st.one_of(st.integers(1, 40), st.just(500))  # streams, about
LIMITS = st.builds(
    Limits,
    first_window=st.sampled_from([MIN_FIRST_WINDOW, 20_000]),
    max_window=st.sampled_from([20_000, 50_000, 1_000_000]),
    max_streams=st.sampled_from([2, 5, 20]),
)


@dataclass
class End:
    """What one side of a stream has done and heard so far."""

    sent: int = 0
    finished: bool = False  # its FIN was asked for
    received: int = 0
    unconsumed: int = 0
    heard_fin: bool = False
    was_reset: bool = False
    over: bool = False  # nothing more may be heard


@dataclass
class Model:
    """A stream: its opener's end and the other's."""

    number: int
    ends: tuple[End, End] = field(default_factory=lambda: (End(), End()))
    opened: bool = False  # the other side has heard OPEN, and took it
    accepted: bool = False

    def bytes_of(self, side: int, start: int, size: int) -> bytes:
        """What side `side` sends from byte `start` on."""
        start = (start + self.number * 1_001 + side * 30_011) % PERIOD
        return PATTERN[start : start + size]


def some(models: list[Model], luck: Random) -> list[Model]:
    """One of them, where there is one."""
    return luck.sample(models, min(1, len(models)))


class TwoSessions:
    """Sides are 0, which opens, and 1, which accepts. Each step picks what it acts on by its luck."""

    def __init__(self, role: Role, limits: tuple[Limits, Limits], budgets: tuple[int, int, int]) -> None:
        self.now = 0.0
        self.process = Budget(budgets[2] * 20_000)
        of_relay, of_dialer = (Budget(budget * 17_000, self.process) for budget in budgets[:2])
        talk = Dialogue(role, *limits, of_relay, of_dialer).attach()
        sessions = (talk.relay, talk.agent)
        self.sides: tuple[Session, Session] = sessions if role is Role.AGENT else sessions[::-1]
        self.limits = limits if role is Role.AGENT else limits[::-1]
        self.wire: tuple[deque[bytes], deque[bytes]] = (deque(), deque())  # sent by side 0, by side 1
        self.models: dict[int, Model] = {}
        self.left: set[int] = set()

    # --- what drivers do ---------------------------------------------------------------------------

    def open(self, luck: Random) -> None:
        opener = self.sides[OPENER]
        try:
            number = opener.open(PORT, APP, self.now)
        except CannotOpen as refused:
            reason = refused.reason
        else:
            self.models[number] = Model(number)
            return
        budget, first = self.budget_of(OPENER), self.limits[OPENER].first_window
        poor = min(budget.limit - budget.spent, self.process.limit - self.process.spent) < first
        full = opener.streams >= self.limits[ACCEPTER].max_streams
        assert reason is (ResetReason.LIMIT if not opener.peer_leaves else ResetReason.DRAIN)
        assert full or poor or opener.peer_leaves

    def connect(self, luck: Random) -> None:
        """The whole way from OPEN to ACCEPT."""
        self.open(luck)
        self.carry_from(OPENER)
        self.accept(luck)
        self.carry_from(ACCEPTER)

    def accept(self, luck: Random) -> None:
        dialing = [model for model in self.alive(ACCEPTER) if model.opened and not model.accepted]
        for model in some(dialing, luck):
            model.accepted = True
            self.sides[ACCEPTER].accept(model.number)

    def send(self, luck: Random) -> None:
        side, size = luck.choice((OPENER, ACCEPTER)), luck.choice((1, 700, 9_000, 60_000))
        for model in some(self.senders(side), luck):
            end, session = model.ends[side], self.sides[side]
            data = model.bytes_of(side, end.sent, size)
            end.sent += size
            if luck.random() < 0.5:
                frame = session.send_at_once(model.number, memoryview(data))
                if frame is not None:
                    self.wire[side].append(frame)
                    return
            queued = session._streams[model.number].queued
            assert session.send(model.number, data) == (queued + size <= CONGESTED_ABOVE)

    def finish(self, luck: Random) -> None:
        side = luck.choice((OPENER, ACCEPTER))
        for model in some(self.senders(side), luck):
            model.ends[side].finished = True
            self.sides[side].finish(model.number)

    def consume(self, luck: Random) -> None:
        """Also what is left in our hands of a stream that is over."""
        side = luck.choice((OPENER, ACCEPTER))
        for model in some([model for model in self.models.values() if model.ends[side].unconsumed], luck):
            self.take(model, side, luck.randint(1, model.ends[side].unconsumed))

    def consume_everything(self, luck: Random) -> None:
        self.consume_all(luck.choice((OPENER, ACCEPTER)))

    def reset(self, luck: Random) -> None:
        side = luck.choice((OPENER, ACCEPTER))
        for model in some(self.alive(side), luck):
            end, session = model.ends[side], self.sides[side]
            end.was_reset = session._streams[model.number].state is not State.CLOSED
            end.over = True
            session.reset(model.number, ResetReason.INTERNAL, "on a whim")

    def wait(self, luck: Random) -> None:
        self.now += luck.choice((0.0001, 0.01, 1.5, 20.0))
        for session in self.sides:
            session.tick(self.now)

    def leave(self, luck: Random) -> None:
        if luck.random() < 0.1:
            side = luck.choice((OPENER, ACCEPTER))
            self.left.add(side)
            self.sides[side].go_away(30, "drain")

    # --- the wires ---------------------------------------------------------------------------------

    def transmit(self, luck: Random) -> None:
        side = luck.choice((OPENER, ACCEPTER))
        for _ in range(luck.randint(1, 10)):
            frame = self.sides[side].next_frame()
            if frame is not None:
                self.wire[side].append(frame)
        self.check_over(side)

    def deliver(self, luck: Random) -> None:
        self.arrive(luck.choice((OPENER, ACCEPTER)), luck.randint(1, 10))

    def carry(self, luck: Random) -> None:
        self.carry_from(luck.choice((OPENER, ACCEPTER)))

    def carry_from(self, side: int) -> int:
        """Everything that this side has to say arrives; returns how many frames these were."""
        self.wire[side].extend(say(self.sides[side]))
        self.check_over(side)
        frames = len(self.wire[side])
        self.arrive(side, frames)
        return frames

    def arrive(self, side: int, frames: int) -> None:
        """The other side hears frames of this side."""
        for _ in range(min(frames, len(self.wire[side]))):
            event = self.sides[1 - side].receive(self.wire[side].popleft(), self.now)
            if event is not None:
                self.hear(1 - side, event)
        self.check_over(1 - side)

    def hear(self, side: int, event: Event) -> None:
        if isinstance(event, GoawayReceived):
            assert 1 - side in self.left
            return
        assert isinstance(event, OpenReceived | AcceptReceived | DataReceived | FinReceived | ResetReceived)
        model = self.models[event.stream]
        here, there = model.ends[side], model.ends[1 - side]
        assert not here.over
        match event:
            case OpenReceived():
                assert (side, event.port, event.source, model.opened) == (ACCEPTER, PORT, APP, False)
                model.opened = True
            case AcceptReceived():
                assert side == OPENER
                assert model.accepted
            case DataReceived():
                size = len(event.data)
                assert not here.heard_fin
                assert here.received + size <= there.sent
                assert event.data == model.bytes_of(1 - side, here.received, size)
                here.received += size
                here.unconsumed += size
            case FinReceived():
                assert there.finished
                assert not here.heard_fin
                assert here.received == there.sent, "FIN comes after the last byte"
                here.heard_fin = True
            case ResetReceived():
                if event.reason is ResetReason.INTERNAL:
                    assert there.was_reset
                    assert event.detail == "on a whim"
                else:  # the other side did not take it
                    assert side == OPENER
                    assert not model.opened
                    assert event.reason in (ResetReason.LIMIT, ResetReason.DRAIN)
                    there.over = True
                here.over = True

    # --- helpers -----------------------------------------------------------------------------------

    def budget_of(self, side: int) -> Budget:
        return self.sides[side]._budget

    def alive(self, side: int) -> list[Model]:
        """The streams that this side's driver has."""
        mine = [model for model in self.models.values() if side == OPENER or model.opened]
        return [model for model in mine if not model.ends[side].over]

    def senders(self, side: int) -> list[Model]:
        """Those on which this side may send."""
        return [
            model
            for model in self.alive(side)
            if not model.ends[side].finished and (side == OPENER or model.accepted)
        ]

    def consume_all(self, side: int) -> int:
        """Consume everything that this side holds; returns of how many streams."""
        holding = [model for model in self.models.values() if model.ends[side].unconsumed]
        for model in holding:
            self.take(model, side, model.ends[side].unconsumed)
        return len(holding)

    def take(self, model: Model, side: int, size: int) -> None:
        """Consume; also what is in our hands of a stream that is over."""
        model.ends[side].unconsumed -= size
        self.sides[side].consume(model.number, size, self.now)
        self.check_over(side)

    def check_over(self, side: int) -> None:
        """What a session calls over is over for the model as well, and for a reason."""
        for number in self.sides[side].over():
            end = self.models[number].ends[side]
            assert end.over or (end.finished and end.heard_fin and not end.unconsumed)
            end.over = True

    # --- what always holds -------------------------------------------------------------------------

    def check(self) -> None:
        self.every_window_is_accounted_for_and_paid()
        self.credit_is_neither_lost_nor_made()
        self.who_waits_to_send_is_in_the_ring()

    def every_window_is_accounted_for_and_paid(self) -> None:
        for side, session in enumerate(self.sides):
            windows = [stream.window for stream in session._streams.values()]
            for window in windows:
                assert window.outstanding + window.unconsumed + window.returnable == window.size
                assert min(window.outstanding, window.unconsumed, window.returnable) >= 0
                assert window.size <= self.limits[side].max_window
            budget = self.budget_of(side)
            assert budget.spent == sum(window.size for window in windows)
            assert 0 <= budget.spent <= budget.limit
        assert self.process.spent == sum(self.budget_of(side).spent for side in (0, 1)) <= self.process.limit

    def credit_is_neither_lost_nor_made(self) -> None:
        """What a sender may send is what the receiver expects, but for what is on its way."""
        for side in (OPENER, ACCEPTER):
            for number, sender in self.sides[side]._streams.items():
                receiver = self.sides[1 - side]._streams.get(number)
                if receiver is None or not receiver.remote_may_send or sender.closed:
                    continue  # who has ended, and heard the other's end, takes no credit any more
                data = sum(size for kind, size in self.on_wire(side, number) if kind == FrameType.DATA)
                credit = sum(
                    size for kind, size in self.on_wire(1 - side, number) if kind == FrameType.WINDOW
                )
                assert sender.credit >= 0
                assert sender.credit + data + credit + receiver.grant == receiver.window.outstanding

    def who_waits_to_send_is_in_the_ring(self) -> None:
        for session in self.sides:
            streams = session._streams.values()
            assert {stream.number for stream in streams if stream.wants_to_send} == {
                stream.number for stream in session._schedule._ring
            }
            assert {stream.number for stream in streams if stream.grant} == {
                stream.number for stream in session._schedule._grants
            }

    def on_wire(self, side: int, number: int) -> list[tuple[int, int]]:
        found = []
        for frame in self.wire[side]:
            kind, _arg, stream = decode_header(frame)
            if stream == number:
                payload = frame[HEADER_SIZE:]
                found.append((kind, decode_window(payload) if kind == FrameType.WINDOW else len(payload)))
        return found

    # --- the end -----------------------------------------------------------------------------------

    def finish_everything(self) -> None:
        """Whatever was sent arrives once everything is consumed, and nothing is left behind."""
        moved = 1
        while moved:
            moved = sum(self.carry_from(side) + self.consume_all(side) for side in (OPENER, ACCEPTER))
            self.check()
        for model in self.models.values():
            self.check_end(model)
        for side, session in enumerate(self.sides):
            session.close()
            assert session.streams == self.budget_of(side).spent == 0
        assert self.process.spent == 0

    def check_end(self, model: Model) -> None:
        opener, accepter = model.ends
        if any(end.was_reset for end in model.ends) or not model.opened:
            assert opener.over, "a reset reaches both"
            assert accepter.over or not model.opened
            return
        for here, there in ((opener, accepter), (accepter, opener)):
            assert here.received == there.sent, "nothing waits for ever"
            assert here.heard_fin == there.finished
            assert here.over == (opener.finished and accepter.finished)


STEPS = (
    [TwoSessions.wait, TwoSessions.leave, TwoSessions.open, TwoSessions.accept, TwoSessions.reset]
    + [TwoSessions.connect, TwoSessions.finish, TwoSessions.consume_everything] * 2
    + [TwoSessions.transmit, TwoSessions.deliver, TwoSessions.carry, TwoSessions.consume] * 3
    + [TwoSessions.send] * 8
)


@pytest.mark.timeout(600)  # in full size, on a busy machine
@given(
    st.sampled_from(Role),
    st.tuples(LIMITS, LIMITS),
    st.tuples(ROOM, ROOM, ROOM),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 0xFFFF)), min_size=60, max_size=200),
)
def test_two_sessions_do_what_the_model_says(
    role: Role,
    limits: tuple[Limits, Limits],
    budgets: tuple[int, int, int],
    script: list[tuple[Callable[[TwoSessions, Random], object], int]],
) -> None:
    sessions = TwoSessions(role, limits, budgets)
    for step, luck in script:
        step(sessions, Random(luck))
        sessions.check()
    sessions.finish_everything()
