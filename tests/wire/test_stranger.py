"""The page is enough: an agent that was written from it alone attaches to our relay and serves."""

import ast
from pathlib import Path

import pytest

from aditus.crypto.proof import Ed25519Verifier
from aditus.domain.connect_url import ConnectUrl
from aditus.wire import frames
from aditus.wire.credit import FIRST_WINDOW, Budget
from aditus.wire.errors import ResetReason
from aditus.wire.events import (
    AcceptReceived,
    DataReceived,
    Event,
    FinReceived,
    HelloReceived,
    OfferReceived,
    ResetReceived,
)
from aditus.wire.frames import FrameType, Offer, PortVerdict, Role, Status, Verdict
from aditus.wire.session import Limits, Session
from tests.wire import stranger
from tests.wire.dialogue import APP, say
from tests.wire.test_frames import VECTORS, Fields, by_name, the_bytes

KEY = VECTORS["handshake"]
ECHO, SHOUT = 5432, 7


def the_agent() -> stranger.Agent:
    secret = stranger.read_secret(KEY["secret_access_key"])
    targets = {ECHO: lambda said: said, SHOUT: bytes.upper}
    return stranger.Agent(secret, KEY["connect_url"], bytes.fromhex(KEY["instance"]), targets)


class Talk:
    """Our relay and the stranger's agent."""

    def __init__(self) -> None:
        self.budget = Budget(1 << 24)
        challenge = bytes.fromhex(KEY["challenge"])
        self.relay = Session.acceptor(challenge, KEY["connect_id"], self.budget, Limits(), 0.0)
        self.agent = the_agent()

    def carry(self) -> list[Event]:
        """All that is said until nobody has more to say; returns what the relay heard, consumed at once."""
        events = []
        while said := say(self.relay):
            for message in (said[0], frames.encode_bundle(said[1:])):
                for answer in self.agent.hear(message):
                    event = self.relay.receive(answer, 0.0)
                    if event is not None:
                        events.append(event)
                    if isinstance(event, DataReceived):
                        self.relay.consume(event.stream, len(event.data), 0.0)
        return events

    def attach(self) -> "Talk":
        [greeting] = say(self.relay)
        hello, offer = self.agent.hear(greeting)
        assert isinstance(self.relay.receive(hello, 0.0), HelloReceived)
        self.relay.admit(0.0)
        assert self.relay.receive(offer, 0.0) == OfferReceived(Offer(1, (ECHO, SHOUT)))
        ports = (PortVerdict(ECHO, Verdict.SERVED), PortVerdict(SHOUT, Verdict.PORT_TAKEN, "another key"))
        self.relay.send_status(Status(1, ports, 1_800_000_000, ("soon",)))
        assert self.carry() == []
        return self


def test_the_stranger_knows_nothing_of_ours() -> None:
    source = ast.parse(Path(stranger.__file__).read_text())
    imported = {
        name
        for node in ast.walk(source)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
    }
    assert not {name for name in imported if name.split(".")[0] in ("aditus", "tests")}


def test_its_proof_and_its_signature_are_accepted() -> None:
    agent = the_agent()
    host = stranger.host_as_dialled(agent.connect_url)
    bearer = stranger.proof(agent.secret, host, KEY["now"])
    assert bearer == KEY["proof"]
    verifier, public_key = Ed25519Verifier(), bytes.fromhex(KEY["public_key"])
    assert verifier.check_bearer(bearer, public_key, [KEY["host"]], KEY["now"]).ok
    claims = verifier.claims(bearer)
    assert (claims.key_id, claims.region, claims.audience) == (KEY["key_id"], KEY["region"], KEY["host"])

    talk = Talk()
    answer, _ = talk.agent.hear(say(talk.relay)[0])
    hello = talk.relay.receive(answer, 0.0)
    assert isinstance(hello, HelloReceived)
    message = frames.attach_message(
        Role.AGENT,
        bytes.fromhex(KEY["challenge"]),
        KEY["connect_id"],
        KEY["key_id"],
        KEY["host"],
        hello.hello.instance,
    )
    assert verifier.check_signature(message, hello.hello.signature, public_key)
    assert (hello.hello.program, hello.hello.host) == ("stranger/1", "elsewhere")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://Relay.Example.org/connect/x", "relay.example.org"),
        ("https://relay.example.org:443/connect/x", "relay.example.org"),
        ("wss://[::1]:8443/connect/x", "[::1]:8443"),
    ],
)
def test_it_calls_the_host_as_we_do(url: str, host: str) -> None:
    assert stranger.host_as_dialled(url) == ConnectUrl.parse(url).audience == host


def test_it_understands_its_status() -> None:
    talk = Talk().attach()
    assert talk.agent.status == stranger.Status(
        1, 1_800_000_000, {ECHO: 0, SHOUT: 2}, ["soon"], {SHOUT: "another key"}
    )
    assert talk.relay.registered
    assert talk.relay.rtt == 0.0  # its PONG came, in no time


@pytest.mark.parametrize("size", [1, FIRST_WINDOW, 1_000_000])
def test_it_carries_any_amount_within_the_credit_of_both(size: int) -> None:
    talk = Talk().attach()
    stream = talk.relay.open(SHOUT, APP, 0.0)
    talk.relay.send(stream, b"a" * size)
    talk.relay.finish(stream)
    events = talk.carry()
    assert events[0] == AcceptReceived(stream)
    assert events[-1] == FinReceived(stream)
    assert b"".join(bytes(event.data) for event in events if isinstance(event, DataReceived)) == b"A" * size
    assert talk.relay.streams == 0
    assert talk.budget.spent == 0
    assert talk.agent.streams == {}


def test_it_refuses_is_reset_and_leaves() -> None:
    talk = Talk().attach()
    refused = talk.relay.open(9, APP, 0.0)
    assert talk.carry() == [ResetReceived(refused, ResetReason.PORT_NOT_OFFERED, "")]

    stream = talk.relay.open(ECHO, APP, 0.0)
    talk.carry()
    talk.relay.reset(stream, ResetReason.REVOKED, "the key was revoked")
    assert talk.carry() == []
    assert talk.agent.streams == {}

    talk.relay.go_away(30, "drain")
    talk.carry()
    assert talk.agent.leaving == 30


@pytest.mark.parametrize("vector", VECTORS["frames"], ids=by_name)
def test_it_reads_our_vectors(vector: Fields) -> None:
    kind, arg, stream, payload = stranger.read_frame(the_bytes(vector))
    expected = vector["fields"]
    assert kind == FrameType[vector["frame"]]
    assert stream == expected.get("stream", 0)
    if vector["frame"] == "OPEN":
        source = dict(stranger.read_tlvs(payload)).get(1, b"").decode()
        assert (arg, source) == (expected["port"], expected["source"])
    elif vector["frame"] == "STATUS":
        status = stranger.read_status(arg, payload)
        tokens = {port: Verdict(verdict).token for port, verdict in status.verdicts.items()}
        assert tokens == {entry["port"]: entry["verdict"] for entry in expected["ports"]}
        assert (status.revision, status.expires_at) == (expected["revision"], expected["expires_at"])
        assert status.warnings == expected["warnings"]
        assert status.details == {e["port"]: e["detail"] for e in expected["ports"] if e["detail"]}
    elif vector["frame"] == "BUNDLE":
        assert [frame.hex() for frame in stranger.read_bundle(payload)] == expected["frames"]
    elif vector.get("from") == "acceptor":
        greeting = stranger.read_challenge(payload)
        assert {**greeting._asdict(), "challenge": greeting.challenge.hex()} == expected
