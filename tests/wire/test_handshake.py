"""Getting in: the two HELLOs, the offer, and the first STATUS that means "registered"."""

import pytest

from aditus.wire.errors import CannotOpen, Misuse, ResetReason, Violation
from aditus.wire.events import ChallengeReceived, GoawayReceived, HelloReceived, OfferReceived, StatusReceived
from aditus.wire.frames import (
    Offer,
    PortVerdict,
    Role,
    Status,
    Verdict,
    encode_offer,
    encode_open,
    encode_ping,
    encode_status,
)
from aditus.wire.session import Limits
from tests.wire.dialogue import APP, CHALLENGE, INSTANCE, PORT, SERVED, SIGNATURE, Dialogue, attached, say


def test_the_relay_speaks_first_and_registers_last() -> None:
    talk = Dialogue()
    assert talk.to_relay() == []

    [challenge] = talk.to_agent()
    assert isinstance(challenge, ChallengeReceived)
    assert (challenge.hello.challenge, challenge.hello.connect_id) == (CHALLENGE, "c0nnect")

    talk.agent.answer(2, INSTANCE, SIGNATURE, "aditus/0.1.0", "db-gateway")
    talk.agent.send_offer(Offer(1, (PORT, 22)))
    [hello_frame, offer_frame] = say(talk.agent)
    hello = talk.relay.receive(hello_frame, talk.now)
    assert isinstance(hello, HelloReceived)
    assert (hello.hello.role, hello.hello.slot, hello.hello.instance) == (Role.AGENT, 2, INSTANCE)
    assert (hello.hello.signature, hello.hello.program, hello.hello.host) == (
        SIGNATURE,
        "aditus/0.1.0",
        "db-gateway",
    )

    talk.relay.admit(talk.now)
    assert talk.relay.receive(offer_frame, talk.now) == OfferReceived(Offer(1, (PORT, 22)))
    status = Status(
        1, (PortVerdict(PORT, Verdict.SERVED), PortVerdict(22, Verdict.PORT_RESERVED)), 1_800_000_000
    )
    registered = [(talk.relay.registered, talk.agent.registered)]
    talk.relay.send_status(status)
    registered.append((talk.relay.registered, talk.agent.registered))
    assert talk.to_agent() == [StatusReceived(status)]
    registered.append((talk.relay.registered, talk.agent.registered))
    assert registered == [(False, False), (True, False), (True, True)]


def test_both_sides_measure_the_round_trip_as_soon_as_they_may() -> None:
    talk = Dialogue()
    talk.to_agent()
    talk.answer()
    talk.to_relay()
    talk.relay.admit(10.0)
    talk.relay.send_status(SERVED)
    talk.now = 10.02
    talk.to_agent()
    talk.now = 10.05
    talk.to_relay()
    talk.now = 10.06
    talk.to_agent()
    assert talk.relay.rtt == pytest.approx(0.05)
    assert talk.agent.rtt == pytest.approx(0.04)


def test_a_sidecar_offers_nothing_and_opens() -> None:
    talk = attached(Role.SIDECAR)
    number = talk.agent.open(PORT, APP, talk.now)
    assert [type(event).__name__ for event in talk.to_relay()] == ["OpenReceived"]
    talk.relay.accept(number)
    assert [type(event).__name__ for event in talk.to_agent()] == ["AcceptReceived"]
    with pytest.raises(Violation, match="may not offer"):
        talk.relay.receive(encode_offer(Offer(1, (PORT,))), talk.now)


def test_nobody_opens_before_the_first_status_nor_who_may_not() -> None:
    talk = Dialogue()
    with pytest.raises(CannotOpen) as refused:
        talk.relay.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.NO_AGENT

    talk.to_agent()
    talk.answer()
    with pytest.raises(Violation, match="may not open"):
        talk.agent.receive(encode_open(1, PORT), talk.now)
    with pytest.raises(Violation, match="may not open"):
        attached(Role.SIDECAR).agent.receive(encode_open(1, PORT), 0.0)


@pytest.mark.parametrize("frame", [encode_ping(bytes(8)), encode_offer(Offer(1, ())), encode_open(1, PORT)])
def test_a_stranger_gets_no_answer_before_it_is_verified(frame: bytes) -> None:
    talk = Dialogue()
    talk.to_agent()
    talk.answer()
    talk.to_relay()  # HELLO is here, and not verified yet
    with pytest.raises(Violation, match="before the handshake is done"):
        talk.relay.receive(frame, talk.now)
    assert say(talk.relay) == []


def test_offers_and_their_status_take_turns() -> None:
    talk = attached()
    talk.agent.send_offer(Offer(2, (PORT, 22)))
    assert talk.to_relay() == [OfferReceived(Offer(2, (PORT, 22)))]
    talk.relay.send_status(SERVED)  # of revision 1: something else has changed
    with pytest.raises(Violation, match="before the STATUS of revision 2"):
        talk.relay.receive(encode_offer(Offer(3, ())), talk.now)

    talk = attached()
    talk.agent.send_offer(Offer(2, (22,)))
    talk.to_relay()
    talk.relay.send_status(Status(2, (PortVerdict(22, Verdict.NO_LISTENER),)))
    assert len(talk.to_agent()) == 1
    talk.agent.send_offer(Offer(9, ()))
    assert talk.to_relay() == [OfferReceived(Offer(9, ()))]
    with pytest.raises(Violation, match="STATUS from a dialer"):
        talk.relay.receive(encode_status(SERVED), talk.now)


def test_each_side_keeps_to_what_the_other_grants() -> None:
    talk = attached(
        relay_limits=Limits(first_window=16_384), agent_limits=Limits(first_window=100_000, max_streams=1)
    )
    number = talk.relay.open(PORT, APP, talk.now)
    with pytest.raises(CannotOpen) as refused:
        talk.relay.open(PORT, APP, talk.now)
    assert refused.value.reason is ResetReason.LIMIT
    talk.to_agent()
    assert talk.relay.send_at_once(number, memoryview(bytes(100_001))) is None
    assert talk.relay.send_at_once(number, memoryview(bytes(100_000))) is not None
    talk.agent.accept(number)
    assert talk.agent.send_at_once(number, memoryview(bytes(16_385))) is None
    talk.to_relay()
    assert talk.agent.send_at_once(number, memoryview(bytes(16_384))) is not None


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"first_window": 16_383}, "first window"),
        ({"first_window": 1_048_577}, "first window"),
        ({"first_window": 65_536, "max_window": 65_535}, "from the first window"),
        ({"max_window": 16_777_217}, "from the first window"),
        ({"max_streams": 0}, "streams"),
        ({"max_streams": 1_025}, "streams"),
    ],
)
def test_limits_that_a_peer_would_refuse_are_refused_at_once(limits: dict[str, int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Limits(**limits)


def test_a_driver_that_gets_ahead_of_the_handshake_is_told_so() -> None:
    talk = Dialogue()
    for too_early in (
        talk.answer,
        lambda: talk.agent.send_offer(Offer(1, ())),
        lambda: talk.relay.admit(0.0),
        lambda: talk.relay.send_status(SERVED),
    ):
        with pytest.raises(Misuse, match="AWAIT"):
            too_early()


def test_who_leaves_during_the_handshake_says_so_after_it() -> None:
    talk = Dialogue()
    talk.relay.go_away(30, "drain")
    talk.agent.go_away(0, "stopped")
    assert [type(event).__name__ for event in talk.to_agent()] == ["ChallengeReceived"]
    talk.answer()
    [hello_frame, goaway_frame] = say(talk.agent)
    assert isinstance(talk.relay.receive(hello_frame, talk.now), HelloReceived)
    assert say(talk.relay) == []
    talk.relay.admit(talk.now)
    assert talk.relay.receive(goaway_frame, talk.now) == GoawayReceived(0, "stopped")
    assert talk.to_agent() == [GoawayReceived(30, "drain")]
