"""Bytes of a stranger's choice: whatever arrives, a session says `Violation` and nothing else."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.wire.errors import Violation
from aditus.wire.events import OfferReceived, StatusReceived
from aditus.wire.frames import (
    HEADER_SIZE,
    Offer,
    PortVerdict,
    Role,
    Status,
    Verdict,
    encode_ping,
    encode_pong,
)
from tests.wire.dialogue import APP, PORT, Dialogue, attached, say
from tests.wire.test_frames import VECTORS, the_bytes

VALID = [the_bytes(vector) for vector in VECTORS["frames"]]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid frame, with a few bytes changed, cut or added, or under the header of another."""
    frame = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(frame)))
        match draw(st.sampled_from(["change", "cut", "add", "header"])):
            case "change" if at < len(frame):
                frame[at] = draw(st.integers(0, 255))
            case "cut":
                del frame[at:]
            case "add":
                frame[at:at] = draw(st.binary(max_size=8))
            case "header" if len(frame) >= HEADER_SIZE:
                other = draw(st.sampled_from(VALID))
                frame[:HEADER_SIZE] = other[:HEADER_SIZE]
    return bytes(frame)


def greeted(admit: bool) -> Dialogue:
    """The challenge was heard, and perhaps answered and verified."""
    talk = Dialogue()
    talk.to_agent()
    if admit:
        talk.answer()
        talk.to_relay()
        talk.relay.admit(0.0)
    return talk


def talking(role: Role, accept: bool) -> Dialogue:
    """Stream 1 was opened, and perhaps accepted."""
    talk = attached(role)
    opener, other = (talk.relay, talk.agent) if role is Role.AGENT else (talk.agent, talk.relay)
    number = opener.open(PORT, APP, 0.0)
    talk.to_agent()
    talk.to_relay()
    if accept:
        other.accept(number)
    return talk


SCENES: list[Callable[[], Dialogue]] = [
    Dialogue,
    partial(greeted, False),
    partial(greeted, True),
    *(partial(talking, role, accept) for role in Role for accept in (False, True)),
]


@pytest.mark.parametrize("scene", SCENES)
@given(
    st.booleans(),
    st.lists(st.one_of(st.binary(max_size=40), mutated()), min_size=1, max_size=6),
)
def test_a_stranger_causes_violations_and_nothing_else(
    scene: Callable[[], Dialogue], to_relay: bool, messages: list[bytes]
) -> None:
    talk = scene()
    session = talk.relay if to_relay else talk.agent
    for message in messages:
        try:
            session.receive(memoryview(message), 1.0)
        except Violation:
            break
    say(session)  # its answers can be written, whatever was asked
    session.close()
    assert talk.relay_budget.spent == 0 or not to_relay
    assert talk.agent_budget.spent == 0 or to_relay


@given(st.integers(0, 14), st.integers(0, 0xFFFF), st.binary(max_size=160), st.integers(0, 2))
def test_a_good_header_with_any_payload_is_a_violation_or_the_session_goes_on(
    kind: int, arg: int, payload: bytes, stream: int
) -> None:
    session = talking(Role.AGENT, accept=True).agent
    try:
        session.receive(bytes([kind, 0]) + arg.to_bytes(2) + stream.to_bytes(4) + payload, 1.0)
    except Violation:
        return
    assert session.receive(encode_ping(bytes(8)), 1.0) is None
    assert encode_pong(bytes(8)) in say(session)


@given(
    st.lists(st.integers(1, 0xFFFF), max_size=50, unique=True),
    st.sampled_from(Verdict),
    st.text(max_size=300),
    st.integers(0, 2**64 - 1),
    st.lists(st.text(max_size=300), max_size=5),
)
def test_offers_and_statuses_survive_the_journey(
    ports: list[int], verdict: Verdict, detail: str, expires_at: int, warnings: list[str]
) -> None:
    talk = attached()
    talk.agent.send_offer(Offer(2, tuple(ports)))
    [offered] = talk.to_relay()
    status = Status(
        2, tuple(PortVerdict(port, verdict, detail) for port in ports), expires_at, tuple(warnings)
    )
    talk.relay.send_status(status)
    [told] = talk.to_agent()
    assert offered == OfferReceived(Offer(2, tuple(ports)))
    assert isinstance(told, StatusReceived)
    heard = told.status
    assert [(entry.port, entry.verdict) for entry in heard.ports] == [(port, verdict) for port in ports]
    assert (heard.expires_at, len(heard.warnings)) == (expires_at, len(warnings))
