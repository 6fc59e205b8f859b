"""The mux between a session and its WebSocket: what it passes on, and what a failure costs."""

import asyncio
import time
from typing import cast

import pytest

from aditus.net.mux import BUNDLE_SIZE, SMALL, Mux, MuxStream, Resources
from aditus.net.ws import WebSocket
from aditus.wire.errors import CannotOpen, CloseCode, ResetReason
from aditus.wire.events import ChallengeReceived, Event, HelloReceived, OfferReceived
from aditus.wire.frames import FrameType, Offer, PortVerdict, Role, Status, Verdict
from aditus.wire.session import Session
from tests.recorded import RecordedEnd

PORT = 5432


class HandWebSocket:
    """A WebSocket without a network: what is sent waits until the test delivers it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.writable = True
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.silent_for: float | None = None

    def silence(self) -> float | None:
        return self.silent_for

    def send(self, message: bytes) -> None:
        self.sent.append(message)

    def close(self, code: CloseCode, reason: str) -> None:
        self.closed = (int(code), reason)

    def abort(self) -> None:
        self.aborted = True


class Side:
    """One side of a session: its mux, its WebSocket, and what it was told."""

    def __init__(self, session: Session, lost: ResetReason) -> None:
        self.ws = HandWebSocket()
        self.mux = Mux(session, self, Resources(), lost)
        self.ends: list[RecordedEnd] = []
        self.opens_with: type[RecordedEnd] = RecordedEnd
        self.over: list[tuple[int | None, str]] = []
        self.mux.connected(cast(WebSocket, self.ws))

    def event(self, mux: Mux, event: Event) -> None:
        if isinstance(event, ChallengeReceived):
            mux.session.answer(0, bytes(16), bytes(64), "by hand", "host")
            mux.session.send_offer(Offer(1, (PORT,)))
        elif isinstance(event, HelloReceived):
            mux.session.admit(time.monotonic())
        elif isinstance(event, OfferReceived):
            mux.session.send_status(Status(1, (PortVerdict(PORT, Verdict.SERVED),)))

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        stream.end = end = self.opens_with()
        self.ends.append(end)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        self.over.append((code, reason))


class Pair:
    """A relay's side and an agent's, registered."""

    def __init__(self) -> None:
        budget, limits, now = Resources().session_budget(), Resources().limits, time.monotonic()
        self.relay = Side(Session.acceptor(bytes(32), "abc", budget, limits, now), ResetReason.AGENT_LOST)
        self.agent = Side(Session.dialer(Role.AGENT, budget, limits, now), ResetReason.AGENT_LOST)
        self.deliver()

    def deliver(self) -> None:
        """Pass on what is to be sent, until both are silent."""
        while self._said_more():
            for sender, receiver in ((self.relay, self.agent), (self.agent, self.relay)):
                messages, sender.ws.sent = sender.ws.sent, []
                for message in messages:
                    receiver.mux.message(memoryview(message))

    def _said_more(self) -> bool:
        for side in (self.relay, self.agent):
            side.mux.flush()
        return bool(self.relay.ws.sent or self.agent.ws.sent)

    def open(self) -> tuple[MuxStream, RecordedEnd]:
        """Open a stream; its relay's side, and what that side's end is told."""
        end = RecordedEnd()
        return self.relay.mux.open(PORT, "10.0.0.1:5", end), end

    def lose(self) -> None:
        """The network is gone."""
        for side in (self.relay, self.agent):
            side.mux.closed(None, "")


@pytest.fixture
async def pair() -> Pair:
    return Pair()


async def test_streams_open_carry_and_end(pair: Pair) -> None:
    stream, end = pair.open()
    stream.send(memoryview(b"question"))
    pair.deliver()
    [far] = pair.agent.ends
    assert bytes(far.heard) == b"question"
    [far_stream] = pair.agent.mux.streams
    assert far_stream.source == "10.0.0.1:5"
    far_stream.accept()
    far_stream.send(memoryview(b"answer"))
    far_stream.finish()
    stream.finish()
    pair.deliver()
    assert bytes(end.heard) == b"answer"
    assert end.calls == ["accepted", "ended"]
    assert far.calls == ["ended"]
    stream.consume(6)
    far_stream.consume(8)
    pair.deliver()
    assert pair.relay.mux.streams == []
    assert pair.agent.mux.streams == []
    assert (pair.relay.mux.bytes_sent, pair.relay.mux.bytes_received) == (8, 6)
    assert pair.relay.mux.quiet.is_set()


async def test_what_is_said_in_one_turn_of_the_loop_shares_a_message(pair: Pair) -> None:
    streams = [pair.open()[0] for _ in range(3)]
    pair.deliver()
    for stream in streams:
        stream.send(memoryview(b"question"))
    assert pair.relay.ws.sent == []
    await asyncio.sleep(0)
    [message] = pair.relay.ws.sent
    assert message[0] == FrameType.BUNDLE
    pair.deliver()
    assert [bytes(end.heard) for end in pair.agent.ends] == [b"question"] * 3


async def test_many_bytes_leave_at_once_and_overtake_nothing(pair: Pair) -> None:
    few, _ = pair.open()
    many, _ = pair.open()
    pair.deliver()
    few.send(memoryview(b"first"))
    many.send(memoryview(bytes(40_000)))
    assert [len(message) for message in pair.relay.ws.sent] == [8 + 5, 8 + 40_000]


async def test_a_shared_message_has_a_bound(pair: Pair) -> None:
    streams = [pair.open()[0] for _ in range(20)]
    pair.deliver()
    for stream in streams:
        stream.send(memoryview(bytes(16_000)))
    await asyncio.sleep(0)
    sizes = [len(message) for message in pair.relay.ws.sent]
    assert sum(sizes) > 20 * 16_000
    assert max(sizes) < BUNDLE_SIZE + 2 * SMALL


async def test_a_close_says_first_what_was_to_be_said_and_names_no_stream_that_is_over(pair: Pair) -> None:
    stream, end = pair.open()
    pair.deliver()
    stream.send(memoryview(b"last words"))
    stream.reset(ResetReason.APP_RESET)
    pair.relay.mux.close(CloseCode.KEY_REFUSED, "revoked", ResetReason.REVOKED)
    assert [message[0] for message in pair.relay.ws.sent] == [FrameType.DATA]
    assert end.reasons == []


async def test_a_defect_in_one_streams_end_costs_that_stream_alone(pair: Pair) -> None:
    class Defective(RecordedEnd):
        def data(self, data: memoryview) -> None:
            raise ZeroDivisionError

    pair.agent.opens_with = Defective
    bad, bad_end = pair.open()
    pair.deliver()
    pair.agent.opens_with = RecordedEnd
    good, _ = pair.open()
    bad.send(memoryview(b"boom"))
    good.send(memoryview(b"fine"))
    pair.deliver()
    assert bad_end.reasons == [ResetReason.INTERNAL]
    assert pair.agent.ends[0].reasons == [ResetReason.INTERNAL]
    assert bytes(pair.agent.ends[1].heard) == b"fine"
    assert pair.agent.ws.closed is None


async def test_when_the_network_is_lost_what_is_unfinished_is_cut_and_what_is_whole_is_kept(
    pair: Pair,
) -> None:
    whole, whole_end = pair.open()
    half, half_end = pair.open()
    pair.deliver()
    for number, stream in enumerate(pair.agent.mux.streams):
        stream.accept()
        stream.send(memoryview(b"all of it"))
        if number == 0:
            stream.finish()
    whole.finish()
    pair.deliver()
    pair.lose()
    assert bytes(whole_end.heard) == b"all of it"
    assert whole_end.reasons == []  # it had ended on both sides: its bytes are still to be delivered
    assert half_end.reasons == [ResetReason.AGENT_LOST]
    assert pair.relay.over == [(None, "")]
    whole.consume(9)  # too late for credit, and no harm
    half.reset(ResetReason.APP_RESET)


async def test_a_close_cuts_every_stream_at_once_also_one_that_is_whole(pair: Pair) -> None:
    whole, whole_end = pair.open()
    _, open_end = pair.open()
    pair.deliver()
    first = pair.agent.mux.streams[0]
    first.accept()
    first.send(memoryview(b"unread"))
    first.finish()
    whole.finish()
    pair.deliver()
    pair.relay.mux.close(CloseCode.KEY_REFUSED, "revoked", ResetReason.REVOKED)
    assert whole_end.reasons == [ResetReason.REVOKED]
    assert open_end.reasons == [ResetReason.REVOKED]
    assert pair.relay.ws.closed == (1008, "revoked")
    with pytest.raises(CannotOpen):
        pair.open()
    pair.relay.mux.closed(1008, "revoked")
    assert whole_end.reasons == [ResetReason.REVOKED]  # told once


async def test_while_the_websocket_is_full_frames_wait_and_control_goes_first(pair: Pair) -> None:
    stream, _ = pair.open()
    other, _ = pair.open()
    pair.deliver()
    pair.relay.ws.writable = False
    stream.send(memoryview(bytes(40_000)))
    other.reset(ResetReason.APP_RESET)
    assert pair.relay.ws.sent == []
    pair.relay.ws.writable = True
    pair.relay.mux.writable()
    assert [message[0] for message in pair.relay.ws.sent] == [0x08, 0x06]  # RESET before DATA


async def test_an_end_is_told_when_to_stop_and_when_to_go_on(pair: Pair) -> None:
    stream, end = pair.open()
    pair.deliver()
    pair.relay.ws.writable = False
    stream.send(memoryview(bytes(65_536)))
    assert end.calls == []
    stream.send(memoryview(b"one more"))
    assert end.calls == ["congested"]
    pair.relay.ws.writable = True
    pair.relay.mux.writable()
    pair.deliver()  # 65,536 bytes are the first window: 8 wait for credit
    assert end.calls == ["congested", "relieved"]


@pytest.mark.parametrize(
    "message", [b"", b"\xff" * 8, b"\x06\x00\x00\x00\x00\x00\x00\x63x", b"\x0d" + bytes(7) + b"\x00\x00"]
)
async def test_a_violation_closes_the_session_with_1002(pair: Pair, message: bytes) -> None:
    _, end = pair.open()
    pair.deliver()
    pair.relay.mux.message(memoryview(message))
    assert pair.relay.ws.closed == (1002, "protocol")
    assert end.reasons == [ResetReason.PROTOCOL]


@pytest.mark.parametrize(("silence", "is_dead"), [(None, True), (46.0, True), (1.0, False)])
async def test_who_is_in_the_middle_of_a_long_message_is_not_dead(
    pair: Pair, silence: float | None, is_dead: bool
) -> None:
    pair.relay.ws.silent_for = silence
    pair.relay.mux.session._liveness.heard_at -= 46
    pair.relay.mux._tick()
    assert pair.relay.ws.aborted == is_dead


async def test_a_websocket_that_opens_when_nobody_waits_any_more_is_dropped(pair: Pair) -> None:
    session = Session.dialer(Role.AGENT, Resources().session_budget(), Resources().limits, time.monotonic())
    mux = Mux(session, pair.agent, Resources(), ResetReason.AGENT_LOST)
    mux.abandon()
    late = HandWebSocket()
    mux.connected(cast(WebSocket, late))
    assert late.aborted
