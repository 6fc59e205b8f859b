"""The bytes of every frame: tests/wire/vectors.json read in both directions, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aditus.crypto.proof import Ed25519Verifier, KeySigner
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.keytext import parse_access_key
from aditus.wire import frames
from aditus.wire.credit import Budget
from aditus.wire.errors import ResetReason, Violation
from aditus.wire.events import ChallengeReceived, DataReceived, FinReceived, HelloReceived
from aditus.wire.fields import MAX_TEXT, clip, read_text
from aditus.wire.frames import (
    AcceptorHello,
    DialerHello,
    FrameType,
    Offer,
    PortVerdict,
    Role,
    Status,
    Verdict,
    attach_message,
)
from aditus.wire.session import Limits, Session
from tests.wire.dialogue import Dialogue, attached, hear, say

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())

Fields = dict[str, Any]


def the_bytes(vector: Fields) -> bytes:
    return bytes.fromhex(vector["hex"]) + bytes(vector.get("zeros", 0))


def by_name(vector: Fields) -> str:
    return str(vector["name"])


def encode(vector: Fields) -> bytes:
    f = vector["fields"]
    stream = f.get("stream", 0)
    match vector["frame"], vector.get("from"):
        case "HELLO", "acceptor":
            return frames.encode_acceptor_hello(
                AcceptorHello(**{**f, "challenge": bytes.fromhex(f["challenge"])})
            )
        case "HELLO", "dialer":
            raw = {name: bytes.fromhex(f[name]) for name in ("instance", "signature")}
            return frames.encode_dialer_hello(DialerHello(**{**f, **raw, "role": Role(f["role"])}))
        case "OFFER", _:
            aliases = tuple((port, alias) for port, alias in f.get("aliases", ()))
            return frames.encode_offer(Offer(f["revision"], tuple(f["ports"]), aliases))
        case "STATUS", _:
            ports = tuple(PortVerdict(**{**e, "verdict": verdict(e["verdict"])}) for e in f["ports"])
            return frames.encode_status(Status(**{**f, "ports": ports, "warnings": tuple(f["warnings"])}))
        case "OPEN", _:
            return frames.encode_open(stream, f["port"], f["source"])
        case "DATA", _:
            return frames.encode_data(stream, bytes.fromhex(f["data"]))
        case "RESET", _:
            return frames.encode_reset(stream, reason(f["reason"]), f["detail"])
        case "WINDOW", _:
            return frames.encode_window(stream, f["increment"])
        case "GOAWAY", _:
            return frames.encode_goaway(f["grace"], f["reason"])
        case "BUNDLE", _:
            return frames.encode_bundle([bytes.fromhex(frame) for frame in f["frames"]])
        case "PING" | "PONG" as kind, _:
            encode_opaque: Callable[[bytes], bytes] = getattr(frames, f"encode_{kind.lower()}")
            return encode_opaque(bytes.fromhex(f["opaque"]))
        case kind, _:
            encode_empty: Callable[[int], bytes] = getattr(frames, f"encode_{kind.lower()}")
            return encode_empty(stream)


def decode(vector: Fields) -> Fields:
    message = the_bytes(vector)
    kind, arg, stream = frames.decode_header(message)
    assert kind == FrameType[vector["frame"]]
    payload = message[frames.HEADER_SIZE :]
    match vector["frame"], vector.get("from"):
        case "HELLO", "acceptor":
            greeting = frames.decode_acceptor_hello(payload)
            return {**fields_of(greeting), "challenge": greeting.challenge.hex()}
        case "HELLO", "dialer":
            hello = frames.decode_dialer_hello(payload)
            raw = {"instance": hello.instance.hex(), "signature": hello.signature.hex()}
            return {**fields_of(hello), **raw}
        case "OFFER", _:
            offer = frames.decode_offer(arg, payload)
            return {**fields_of(offer), "ports": list(offer.ports), "aliases": list(map(list, offer.aliases))}
        case "STATUS", _:
            status = frames.decode_status(arg, payload)
            ports = [{**fields_of(entry), "verdict": entry.verdict.token} for entry in status.ports]
            return {**fields_of(status), "ports": ports, "warnings": list(status.warnings)}
        case "OPEN", _:
            return {"stream": stream, "port": arg, "source": frames.decode_open(arg, payload)}
        case "DATA", _:
            return {"stream": stream, "data": payload.hex()}
        case "RESET", _:
            why, detail = frames.decode_reset(arg, payload)
            return {"stream": stream, "reason": why.token, "detail": detail}
        case "WINDOW", _:
            return {"stream": stream, "increment": frames.decode_window(payload)}
        case "GOAWAY", _:
            return {"grace": arg, "reason": frames.decode_goaway(payload)}
        case "BUNDLE", _:
            return {"frames": [bytes(frame).hex() for frame in frames.unbundle(memoryview(message))]}
        case "PING" | "PONG", _:
            return {"opaque": frames.decode_ping(payload).hex()}
        case _:
            assert not payload
            return {"stream": stream}


def fields_of(value: object) -> Fields:
    return {name: getattr(value, name) for name in value.__slots__}  # type: ignore[attr-defined]


def verdict(token: str) -> Verdict:
    return next(verdict for verdict in Verdict if verdict.token == token)


def reason(token: str) -> ResetReason:
    return next(reason for reason in ResetReason if reason.token == token)


# --- vectors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=by_name)
def test_a_frame_is_read_as_the_vector_says(vector: Fields) -> None:
    assert decode(vector) == vector["fields"]


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS["frames"] if not vector.get("decode_only")], ids=by_name
)
def test_a_frame_is_written_as_the_vector_says(vector: Fields) -> None:
    assert encode(vector).hex() == the_bytes(vector).hex()


def test_every_type_of_frame_has_a_vector() -> None:
    assert {vector["frame"] for vector in VECTORS["frames"]} == set(FrameType.__members__)


def hearing(side: str) -> Session:
    """The session that an invalid frame goes to."""
    if side.startswith("fresh"):
        dialogue = Dialogue()
        return dialogue.relay if side == "fresh relay" else dialogue.agent
    if side == "admitted relay":
        dialogue = Dialogue()
        dialogue.to_agent()
        dialogue.answer()
        dialogue.to_relay()
        dialogue.relay.admit(0.0)
        return dialogue.relay
    dialogue = attached()
    assert dialogue.stream() == 1
    return dialogue.relay if side == "relay" else dialogue.agent


@pytest.mark.parametrize("vector", VECTORS["invalid"], ids=by_name)
def test_what_the_page_does_not_allow_is_a_violation(vector: Fields) -> None:
    session = hearing(vector["to"])
    with pytest.raises(Violation) as violation:
        hear(session, the_bytes(vector))
    assert str(violation.value) == vector["reason"]


def test_the_handshake_is_said_byte_for_byte_as_in_the_transcript() -> None:
    v = VECTORS["handshake"]
    spoken = {
        side: [the_bytes(frame) for frame in v["transcript"] if frame["from"] == side]
        for side in ("relay", "agent")
    }
    limits, url = Limits(), ConnectUrl.parse(v["connect_url"])
    key = parse_access_key(v["secret_access_key"])
    signer = KeySigner(key)
    assert (key.key_id, key.region, key.secret.hex()) == (v["key_id"], v["region"], v["seed"])
    assert (url.audience, url.connect_id) == (v["host"], v["connect_id"])
    assert signer.bearer(v["host"], v["now"]) == v["proof"]

    relay = Session.acceptor(bytes.fromhex(v["challenge"]), v["connect_id"], Budget(1 << 20), limits, 0.0)
    agent = Session.dialer(Role.AGENT, Budget(1 << 20), limits, 0.0)
    said: dict[str, list[bytes]] = {"relay": say(relay), "agent": []}
    challenge = agent.receive(said["relay"][0], 0.0)
    assert isinstance(challenge, ChallengeReceived)

    instance = bytes.fromhex(v["instance"])
    message = attach_message(
        Role.AGENT, challenge.hello.challenge, challenge.hello.connect_id, key.key_id, url.audience, instance
    )
    assert message.hex() == v["attach_message"].replace(" ", "")
    assert signer.sign(message).hex() == v["signature"]
    agent.answer(v["slot"], instance, signer.sign(message), "aditus/0.1.0", "db-gateway")
    agent.send_offer(Offer(1, (5432,)))
    said["agent"] = say(agent)

    hello = relay.receive(said["agent"][0], 0.0)
    assert isinstance(hello, HelloReceived)
    assert Ed25519Verifier().check_signature(message, hello.hello.signature, bytes.fromhex(v["public_key"]))
    relay.admit(0.0)
    relay.receive(said["agent"][1], 0.0)
    relay.send_status(Status(1, (PortVerdict(5432, Verdict.SERVED),)))
    for speaker, listener, name in (
        (relay, agent, "relay"),
        (agent, relay, "agent"),
        (relay, agent, "relay"),
    ):
        new = say(speaker)
        said[name] += new
        for frame in new:
            listener.receive(frame, 0.0)
    assert said == spoken


def test_the_public_key_of_the_transcript_is_that_of_its_seed() -> None:
    v = VECTORS["handshake"]
    public = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(v["seed"])).public_key()
    assert public.public_bytes_raw().hex() == v["public_key"]


# --- limits ---------------------------------------------------------------------------------------


def test_the_largest_frames_are_allowed() -> None:
    data = frames.encode_data(1, bytes(frames.MAX_DATA))
    assert len(data) == frames.MAX_FRAME
    assert frames.decode_header(data)[0] == FrameType.DATA
    control = frames.HEADER.pack(FrameType.OPEN, 0, 22, 1) + bytes(frames.MAX_CONTROL)
    assert frames.decode_header(control)[0] == FrameType.OPEN


def test_a_message_that_is_no_bundle_is_one_frame() -> None:
    for message in (b"", frames.encode_fin(1)):
        assert list(frames.unbundle(memoryview(message))) == [message]


def test_what_shares_a_message_is_heard_as_if_each_came_alone() -> None:
    talk = attached()
    stream = talk.stream()
    message = frames.encode_bundle([frames.encode_data(stream, b"a"), frames.encode_fin(stream)])
    assert hear(talk.relay, message) == [DataReceived(stream, memoryview(b"a")), FinReceived(stream)]


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_frames_come_out_of_a_bundle_as_they_went_in(whole: list[bytes]) -> None:
    assert list(frames.unbundle(memoryview(frames.encode_bundle(whole)))) == whole


def test_the_largest_status_fits_and_texts_make_room_for_verdicts() -> None:
    entries = tuple(
        PortVerdict(port, Verdict.PORT_TAKEN, "x" * 300) for port in range(1, frames.MAX_PORTS + 1)
    )
    frame = frames.encode_status(Status(7, entries, warnings=("first",)))
    assert len(frame) - frames.HEADER_SIZE <= frames.MAX_CONTROL
    status = frames.decode_status(frames.MAX_PORTS, frame[frames.HEADER_SIZE :])
    assert [entry.port for entry in status.ports] == list(range(1, frames.MAX_PORTS + 1))
    assert status.warnings == ("first",)
    assert status.ports[0].detail == "x" * MAX_TEXT
    assert status.ports[-1].detail == ""


def test_the_largest_offer_fits() -> None:
    ports = tuple(range(1, frames.MAX_PORTS + 1))
    frame = frames.encode_offer(Offer(0xFFFF_FFFF, ports))
    assert frames.decode_offer(len(ports), frame[frames.HEADER_SIZE :]) == Offer(0xFFFF_FFFF, ports)


def test_aliases_that_no_longer_fit_are_left_out() -> None:
    ports = tuple(range(1, frames.MAX_PORTS + 1))
    offer = Offer(1, ports, tuple((port, f"{port:032}") for port in ports))
    frame = frames.encode_offer(offer)
    assert len(frame) - frames.HEADER_SIZE <= frames.MAX_CONTROL
    read = frames.decode_offer(len(ports), frame[frames.HEADER_SIZE :])
    assert read.ports == ports
    assert len(read.aliases) == 377
    assert read.aliases == offer.aliases[:377]


def test_a_signature_covers_where_each_part_ends() -> None:
    one = attach_message(Role.AGENT, bytes(32), "ab", "c", "d", bytes(16))
    other = attach_message(Role.AGENT, bytes(32), "a", "bc", "d", bytes(16))
    assert one != other


@given(st.text(max_size=300), st.integers(4, 300))
def test_any_text_is_sent_as_a_text_that_is_accepted(text: str, limit: int) -> None:
    """Our own texts (an operating system's error, a host name) never break the protocol."""
    sent = clip(text, limit)
    read = read_text(sent, limit)
    plain = text.encode(errors="replace").decode()
    assert len(read) <= len(plain)
    assert all(a in (b, " ") for a, b in zip(read, plain, strict=False))
    if len(plain.encode()) <= limit:
        assert len(read) == len(plain)


def test_tokens_are_what_people_read() -> None:
    assert ResetReason.TARGET_REFUSED.token == "target-refused"
    assert Verdict.PORT_IN_USE.token == "port-in-use"
    assert [verdict.token for verdict in Verdict if verdict.accepted] == ["served", "no-listener"]
