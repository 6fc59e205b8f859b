"""Getting in: the answers of docs/wire-protocol.md, section 2, each by a request made by hand."""

import asyncio
import base64
import dataclasses
import json
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from aditus.crypto.keys import generate_pair, random_connect_id, random_id
from aditus.crypto.proof import KeySigner
from aditus.domain.keytext import format_access_key, parse_access_key
from aditus.domain.model import KeyState
from aditus.domain.relays import KeyChanges
from aditus.wire import frames
from aditus.wire.frames import FrameType, Role, Verdict
from tests.ends import free_port, on_linux, resident, until
from tests.raw import TEXT, WS_PING, WS_PONG, Answer, HandAgent, Wire, upgrade
from tests.world import REGION, Key, Site


async def ask(site: Site, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        return await wire.ask(path, headers, method)


async def dial(site: Site, path: str, bearer: str) -> Answer:
    """Ask for an upgrade with this proof."""
    return await ask(site, path, upgrade(site.relay_url, bearer))


def proof(site: Site, key: Key, *, audience: str = "", now: float | None = None) -> str:
    return key.signer().bearer(audience or site.relay_url.audience, now or time.time())


def stranger(region: str = REGION) -> KeySigner:
    """A key that no relay ever heard of."""
    return KeySigner(
        parse_access_key(format_access_key(region, random_id(), generate_pair().secret).reveal())
    )


def refused(answer: Answer) -> tuple[int, str]:
    assert answer.headers["connection"] == "close"
    assert "location" not in answer.headers
    return answer.status, answer.reason


# --- step (a): the table of HTTP answers --------------------------------------------------------


async def test_the_keys_own_connect_url_lets_in(site: Site) -> None:
    key = site.make_key()
    for path in (key.url.path, "/connect"):
        answer = await dial(site, path, proof(site, key))
        assert answer.status == 101
        assert answer.headers["sec-websocket-protocol"] == "aditus.v1"
        assert "sec-websocket-extensions" not in answer.headers


async def test_every_public_name_of_the_relay_is_an_audience(site: Site) -> None:
    key = site.make_key()
    other_name = f"127.0.0.1:{site.relay_url.port}"
    assert (await dial(site, key.url.path, proof(site, key, audience=other_name))).status == 101


async def test_a_key_of_another_region_is_unknown_here_whatever_its_proof_claims(site: Site) -> None:
    key = site.make_key()
    elsewhere = dataclasses.replace(
        site.known(key), key_id=random_id(), connect_id=random_connect_id(), region="elsewhere"
    )
    epoch = site.relay.epoch
    assert site.relay.apply(KeyChanges("elsewhere", epoch + 10, (elsewhere,)), time.monotonic()) == []
    assert site.relay.epoch == epoch
    secret = format_access_key(REGION, elsewhere.key_id, parse_access_key(key.secret.reveal()).secret)
    moved = Key("moved", elsewhere.key_id, secret, site.relay_url.connect(elsewhere.connect_id))
    assert refused(await dial(site, "/connect", proof(site, moved))) == (401, "bad-proof")
    assert refused(await dial(site, moved.url.path, proof(site, moved))) == (404, "no-such-url")


@pytest.mark.parametrize("what", ["another key's signature", "a word", "an unknown key", "a changed claim"])
async def test_what_is_no_proof_of_this_key_is_bad_proof(site: Site, what: str) -> None:
    key = site.make_key()
    bearer = {
        "another key's signature": forged(proof(site, key), stranger()),
        "a word": "sesame",
        "an unknown key": stranger().bearer(site.relay_url.audience, time.time()),
        "a changed claim": changed(proof(site, key), exp=int(time.time()) + 59),
    }[what]
    for path in (key.url.path, "/connect"):
        answer = await dial(site, path, bearer)
        assert refused(answer) == (401, "bad-proof")
        assert answer.headers["www-authenticate"] == "Bearer"


def forged(bearer: str, signer: KeySigner) -> str:
    """The same words, signed by somebody else."""
    said = bearer.rpartition(".")[0]
    return f"{said}.{base64.urlsafe_b64encode(signer.sign(said.encode())).decode().rstrip('=')}"


def changed(bearer: str, **claims: object) -> str:
    """The same signature under other words."""
    head, body, signature = bearer.split(".")
    payload = json.loads(base64.urlsafe_b64decode(body + "==")) | claims
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.{signature}"


async def test_a_proof_for_another_relay_is_bad_proof(site: Site) -> None:
    key = site.make_key()
    for audience in ("relay.example", f"localhost:{site.relay_url.port + 1}", "localhost"):
        answer = await dial(site, key.url.path, proof(site, key, audience=audience))
        assert refused(answer) == (401, "bad-proof")


@pytest.mark.parametrize("off", [-3_600, 3_600])
async def test_a_clock_that_is_off_is_told_the_time(site: Site, off: float) -> None:
    key = site.make_key()
    answer = await dial(site, key.url.path, proof(site, key, now=time.time() + off))
    assert refused(answer) == (401, "clock-skew")
    assert abs(parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()) < 5


async def test_a_key_of_another_region_is_sent_to_its_own(site: Site) -> None:
    key = site.make_key()
    elsewhere = stranger("eu-west").bearer(site.relay_url.audience, time.time())
    assert refused(await dial(site, "/connect", elsewhere)) == (403, "wrong-region")
    assert refused(await dial(site, key.url.path, elsewhere)) == (403, "wrong-region")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (KeyState.REVOKED, "revoked"),
        (KeyState.EXPIRED, "expired"),
        (KeyState.REPLACED, "replaced"),
        (KeyState.SUSPENDED, "suspended"),
    ],
)
async def test_a_key_that_lost_its_right_is_told_so_even_where_its_url_is_gone(
    site: Site, state: KeyState, reason: str
) -> None:
    key = site.make_key()
    site.change(key, state=state, connect_id="" if state is KeyState.REVOKED else key.url.connect_id)
    assert refused(await dial(site, key.url.path, proof(site, key))) == (403, reason)
    assert refused(await dial(site, "/connect", proof(site, key))) == (403, reason)
    assert refused(await dial(site, f"/connect/{random_connect_id()}", proof(site, key))) == (403, reason)


async def test_a_key_past_its_expiry_is_refused_before_the_feed_says_so(site: Site) -> None:
    key = site.make_key(expires_at=time.time() - 1)
    assert refused(await dial(site, key.url.path, proof(site, key))) == (403, "expired")


async def test_who_cannot_prove_a_dead_key_is_not_told_that_it_is_dead(site: Site) -> None:
    key = site.make_key()
    site.revoke_now(key)
    answer = await dial(site, key.url.path, forged(proof(site, key), stranger()))
    assert refused(answer) == (404, "no-such-url")
    assert refused(await dial(site, "/connect", forged(proof(site, key), stranger()))) == (401, "bad-proof")


async def test_a_connect_url_that_is_not_there_or_not_this_keys_is_no_such_url(site: Site) -> None:
    key, other = site.make_key(), site.make_key("plant-2")
    for path in (
        f"/connect/{random_connect_id()}",
        other.url.path,
        "/connect/",
        f"{key.url.path}/",
        f"/{key.url.connect_id}",
        "/",
        "/metrics",
        f"/connect/../connect/{key.url.connect_id}",
    ):
        found = await dial(site, path, proof(site, key))
        assert (found.status, path) == (101 if path == "/connect/" else 404, path)


async def test_without_a_proof_a_live_connect_url_says_401_and_all_else_404(site: Site) -> None:
    key = site.make_key()
    plain = {"Host": site.relay_url.audience}
    assert refused(await ask(site, key.url.path, plain)) == (401, "bad-proof")
    assert refused(await ask(site, f"{key.url.path}?a=b", plain)) == (401, "bad-proof")
    for path in ("/", "/connect", f"/connect/{random_connect_id()}", "/attach", "/favicon.ico"):
        assert refused(await ask(site, path, plain)) == (404, "no-such-url")
    site.revoke_now(key)
    assert refused(await ask(site, key.url.path, plain)) == (404, "no-such-url")


async def test_a_live_connect_url_without_a_proof_of_ours_says_401(site: Site) -> None:
    key = site.make_key()
    headers = upgrade(site.relay_url) | {"Authorization": "Basic dTpw"}
    assert refused(await ask(site, key.url.path, headers)) == (401, "bad-proof")
    assert refused(await ask(site, key.url.path, upgrade(site.relay_url))) == (401, "bad-proof")


async def test_a_proof_without_an_upgrade_leads_nowhere(site: Site) -> None:
    key = site.make_key()
    headers = {"Host": "x", "Authorization": f"Bearer {proof(site, key)}"}
    answer = await ask(site, key.url.path, headers)
    assert answer.status == 400
    assert answer.reason == ""
    assert not site.tunnels(key)


async def test_another_protocol_is_refused(site: Site) -> None:
    key = site.make_key()
    headers = upgrade(site.relay_url, proof(site, key)) | {"Sec-WebSocket-Protocol": "aditus.v2"}
    assert (await ask(site, key.url.path, headers)).status == 400


async def test_a_relay_that_drains_asks_to_come_again(site: Site) -> None:
    key = site.make_key()
    site.relay.drain(1)
    answer = await dial(site, key.url.path, proof(site, key))
    assert refused(answer) == (503, "draining")
    assert int(answer.headers["retry-after"]) >= 1


async def test_what_is_not_http_gets_no_further(site: Site) -> None:
    for request in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST /connect HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"GET /connect HTTP/1.1\r\nAuthorization: Bearer \x00\r\n\r\n",
        b"\x16\x03\x01 is TLS in TLS\r\n\r\n",
        b"GET /connect HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ):
        async with await Wire.connect(site.relay_url, site.trust) as wire:
            await wire.send(request)
            assert (await wire.answer()).status == 400
            assert await wire.ended()


async def test_headers_without_an_end_are_not_kept(site: Site) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        await wire.send(b"GET /connect HTTP/1.1\r\nX: " + b"y" * 16_384)
        assert await wire.ended()


async def test_two_requests_at_once_get_one_answer(site: Site) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        await wire.send(b"GET / HTTP/1.1\r\n\r\n" * 2)
        assert (await wire.answer()).status == 404
        assert await wire.reader.read() == b""


# --- step (b): the challenge ---------------------------------------------------------------------


async def hand_agent(site: Site, key: Key, **details: object) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path, **details)


async def test_an_agent_written_from_the_page_is_let_in(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as agent:
        assert agent.connect_id == key.url.connect_id
        assert not site.tunnels(key)
        status = await agent.attach(port)
        assert status == frames.Status(1, (frames.PortVerdict(port, Verdict.SERVED),))
        [tunnel] = site.tunnels(key)
        assert tunnel.instance == agent.instance.hex()
        assert [port.port for port in tunnel.ports] == [port]


async def test_a_challenge_is_never_the_same_twice(site: Site) -> None:
    key = site.make_key()
    async with await hand_agent(site, key) as one, await hand_agent(site, key) as two:
        assert one.challenge != two.challenge


async def test_a_recorded_handshake_lets_nobody_in(site: Site) -> None:
    key = site.make_key()
    bearer = proof(site, key)
    async with await hand_agent(site, key) as agent:
        recorded = agent.hello()
        await agent.wire.say(recorded)
        await until(lambda: site.tunnels(key), "the tunnel of the one who was recorded")
    await site.detached(key)
    async with await Wire.connect(site.relay_url, site.trust) as thief:
        assert (await thief.ask(key.url.path, upgrade(site.relay_url, bearer))).status == 101
        await thief.say(recorded)
        assert await thief.closed() == (1002, "protocol")
    assert not site.tunnels(key)


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": bytes(64)},
        {"instance": bytes(16)},  # not the one that was signed
    ],
    ids=["signature", "instance"],
)
async def test_a_hello_that_is_not_signed_by_the_key_ends_the_session(
    site: Site, wrong: dict[str, object]
) -> None:
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        await agent.wire.say(agent.hello(**wrong))
        assert await agent.wire.closed() == (1002, "protocol")
    assert not site.tunnels(key)
    assert site.relay.refusals == {"bad-proof": 1}


async def test_a_signature_for_another_name_of_the_relay_is_worthless(site: Site) -> None:
    """A relay that passes a handshake on to another cannot use it there."""
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        agent.audience = "relay.example"
        await agent.wire.say(agent.hello())
        assert await agent.wire.closed() == (1002, "protocol")


async def test_a_sidecars_signature_does_not_let_an_agent_in_nor_an_agents_a_sidecar(site: Site) -> None:
    key = site.make_key()
    for role in (Role.SIDECAR, Role.AGENT):
        async with await hand_agent(site, key) as agent:
            message = frames.attach_message(
                role, agent.challenge, agent.connect_id, key.key_id, agent.audience, agent.instance
            )
            claimed = Role.AGENT if role is Role.SIDECAR else Role.SIDECAR
            await agent.wire.say(agent.hello(role=claimed, signature=key.signer().sign(message)))
            assert await agent.wire.closed() == (1002, "protocol")


@pytest.mark.parametrize(
    "frame",
    [
        frames.encode_offer(frames.Offer(1, (5432,))),
        frames.encode_ping(bytes(8)),
        frames.encode_open(1, 5432),
        frames.encode_data(1, b"x"),
        frames.encode_status(frames.Status(1, ())),
        b"",
        b"\x01",
        bytes(8),
        bytes([1, 1]) + bytes(6),
    ],
    ids=lambda frame: frame[:2].hex() or "nothing",
)
async def test_nothing_but_hello_comes_first(site: Site, frame: bytes) -> None:
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        await agent.wire.say(frame)
        assert await agent.wire.closed() == (1002, "protocol")
    assert not site.tunnels(key)


async def test_a_key_revoked_between_the_two_steps_is_not_let_in(site: Site) -> None:
    for state, closed in (
        (KeyState.REVOKED, (1008, "revoked")),
        (KeyState.EXPIRED, (1008, "expired")),
        (KeyState.SUSPENDED, (4002, "suspended")),
    ):
        key = site.make_key()
        async with await hand_agent(site, key) as agent:
            site.change(key, state=state)
            await agent.wire.say(agent.hello())
            assert await agent.wire.closed() == closed
        assert not site.tunnels(key)


# --- being slow ------------------------------------------------------------------------------------


@pytest.fixture
async def hasty(tmp_path: Path) -> Site:
    """Started by the tests: a relay that waits for 0.3 s."""
    return Site(tmp_path, handshake_seconds=0.3)


async def test_who_is_slow_with_tls_http_hello_or_offer_is_cut_off(hasty: Site) -> None:
    async with hasty as site:
        key = site.make_key()

        async def slow_tls() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.relay_url.port)
            writer.write(b"\x16\x03\x01")
            assert await Wire(reader, writer).ended()
            writer.close()

        async def slow_http() -> None:
            async with await Wire.connect(site.relay_url, site.trust) as wire:
                await wire.send(b"GET /connect HTTP/1.1\r\nHost")
                assert await wire.ended()

        async def slow_hello() -> None:
            async with await hand_agent(site, key) as agent:
                assert await agent.wire.closed() == (1002, "protocol")

        async def slow_offer() -> None:
            async with await hand_agent(site, key) as agent:
                await agent.wire.say(agent.hello())
                await until(lambda: site.tunnels(key), "the tunnel")
                assert await agent.wire.closed() == (1002, "protocol")

        await asyncio.gather(slow_tls(), slow_http(), slow_hello(), slow_offer())
        await site.detached(key)


async def test_an_agent_that_was_quick_is_not_cut_off_afterwards(hasty: Site) -> None:
    async with hasty as site:
        key = site.make_key()
        async with await hand_agent(site, key) as quick, await hand_agent(site, key) as slow:
            await quick.attach(free_port())
            assert await slow.wire.closed() == (1002, "protocol")
            await quick.wire.say(frames.encode_ping(b"12345678"))
            assert (await quick.hear(FrameType.PONG))[2] == b"12345678"


async def test_a_relay_that_stops_ends_also_those_whom_it_has_not_let_in_yet(tmp_path: Path) -> None:
    async with Site(tmp_path) as site:
        visitor = await hand_agent(site, site.make_key())
    assert await visitor.wire.closed() == (1001, "drain")
    await visitor.wire.close()


# --- one instance, one slot -------------------------------------------------------------------------


async def test_a_newer_session_of_the_same_instance_and_slot_takes_its_place(site: Site) -> None:
    key, port, instance = site.make_key(), free_port(), bytes(range(16))
    async with await hand_agent(site, key, instance=instance) as old:
        await old.attach(port)
        async with await hand_agent(site, key, instance=instance) as new:
            assert (await new.attach(port)).ports[0].verdict is Verdict.SERVED
            assert await old.wire.closed() == (4001, "superseded")
            assert len(site.tunnels(key)) == 1


async def test_other_slots_instances_and_keys_do_not_replace_each_other(site: Site) -> None:
    key, other, instance = site.make_key(), site.make_key("plant-2"), bytes(range(16))
    async with (
        await hand_agent(site, key, instance=instance) as one,
        await hand_agent(site, key, instance=instance, slot=1) as two,
        await hand_agent(site, key) as three,
        await hand_agent(site, other, instance=instance) as four,
    ):
        for agent in (one, two, three, four):
            await agent.attach(free_port())
        assert len(site.tunnels(key)) == 3
        assert len(site.tunnels(other)) == 1


async def test_an_unproven_session_replaces_nobody(site: Site) -> None:
    key, instance = site.make_key(), bytes(range(16))
    async with await hand_agent(site, key, instance=instance) as honest:
        await honest.attach(free_port())
        async with await hand_agent(site, key, instance=instance) as thief:
            await thief.wire.say(thief.hello(signature=bytes(64)))
            assert await thief.wire.closed() == (1002, "protocol")
        assert len(site.tunnels(key)) == 1
        await honest.wire.say(frames.encode_ping(bytes(8)))
        await honest.hear(FrameType.PONG)


@on_linux
async def test_an_agent_in_the_middle_of_a_message_is_not_silent(site: Site) -> None:
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        await agent.attach(free_port())
        [tunnel] = site.relay._registry.of(key.key_id)
        ws = tunnel.mux.ws
        assert ws is not None
        await until(lambda: (ws.silence() or 0) > 0.05, "a moment of silence")
        await agent.wire.send(agent.wire.framed(bytes(100))[:50])
        await until(lambda: (ws.silence() or 1) < 0.05, "the half message")


async def test_an_agent_that_says_goaway_frees_its_slot_and_gets_no_streams(site: Site) -> None:
    key, port, instance = site.make_key(), free_port(), bytes(range(16))
    async with await hand_agent(site, key, instance=instance) as old:
        await old.attach(port)
        await old.wire.say(frames.encode_goaway(30, "restart"))
        async with await hand_agent(site, key, instance=instance) as new:
            await new.attach(port)
            assert len(site.tunnels(key)) == 2  # the old one keeps its streams, and was not replaced
            with await site.app(port):
                await new.hear(FrameType.OPEN)
        site.revoke_now(key)
        assert await old.wire.closed() == (1008, "revoked")


# --- violations -------------------------------------------------------------------------------------


PING = frames.encode_ping(bytes(8))
ILLEGAL: dict[str, Callable[[Wire], bytes]] = {
    "a text message": lambda wire: wire.framed(PING, TEXT),
    "a fragment": lambda wire: wire.framed(PING, fin=False),
    "a continuation": lambda wire: wire.framed(PING, opcode=0),
    "an extension's bit": lambda wire: wire.framed(PING, rsv=4),
    "another one": lambda wire: wire.framed(PING, rsv=1),
    "an opcode of no meaning": lambda wire: wire.framed(PING, opcode=3),
    "a mask left out": lambda wire: dataclasses.replace(wire, masks=False).framed(PING),
    "an empty message": lambda wire: wire.framed(b""),
    "half a header": lambda wire: wire.framed(PING[:7]),
    "a type of no meaning": lambda wire: wire.framed(b"\x0e" + bytes(7)),
    "flags": lambda wire: wire.framed(bytes([FrameType.PING, 1]) + PING[2:]),
    "an OPEN of its own": lambda wire: wire.framed(frames.encode_open(99, 5432)),
    "data for no stream": lambda wire: wire.framed(frames.encode_data(99, b"x")),
    "data before ACCEPT": lambda wire: wire.framed(frames.encode_data(1, b"x")),
    "a second HELLO": lambda wire: wire.framed(bytes([FrameType.HELLO]) + bytes(7)),
    "an offer that does not rise": lambda wire: wire.framed(frames.encode_offer(frames.Offer(1, ()))),
    "a STATUS": lambda wire: wire.framed(frames.encode_status(frames.Status(1, ()))),
    "endless credit": lambda wire: wire.framed(frames.encode_window(1, 0xFFFF_FFFF)),
}


@pytest.mark.parametrize("what", ILLEGAL)
async def test_a_violation_ends_its_session_alone_and_at_once(site: Site, what: str) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as bad, await hand_agent(site, key) as good:
        await bad.attach(port)
        with await site.app(port) as app:
            await bad.hear(FrameType.OPEN)
            await good.attach(port)
            await bad.wire.send(ILLEGAL[what](bad.wire))
            assert await app.cut() == b""
            with await site.app(port):  # not sent where nobody listens any more
                await good.hear(FrameType.OPEN)
                assert (await bad.wire.closed())[0] == 1002
            await until(lambda: len(site.tunnels(key)) == 1, "one tunnel less")


@pytest.mark.parametrize("what", ["a text message", "an empty message", "endless credit"])
async def test_a_session_that_is_being_closed_gets_no_streams(site: Site, what: str) -> None:
    """The close waits for a peer that does not read; apps do not."""
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as bad, await hand_agent(site, key) as good:
        await bad.attach(port)
        with await site.app(port) as app:
            await bad.hear(FrameType.OPEN)
            await good.attach(port)
            bad.wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
            await bad.wire.send(ILLEGAL[what](bad.wire))
            assert await app.cut() == b""
            with await site.app(port):
                await good.hear(FrameType.OPEN)


async def test_a_message_that_is_too_large_ends_the_session(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as agent:
        await agent.attach(port)
        with await site.app(port) as app:
            await agent.wire.send(agent.wire.framed(bytes(frames.MAX_FRAME + 1))[:1_000])
            assert (await agent.wire.closed())[0] == 1009  # RFC 6455's own
            assert await app.cut() == b""


async def test_more_than_the_credit_ends_the_session(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as agent:
        await agent.attach(port)
        with await site.app(port) as app:
            await agent.hear(FrameType.OPEN)
            await agent.wire.say(frames.encode_accept(1))
            await agent.wire.say(frames.encode_data(1, bytes(65_537)))
            assert await agent.wire.closed() == (1002, "protocol")
            assert await app.cut() == b""


@on_linux
async def test_pings_of_the_websocket_are_answered_but_do_not_pile_up(site: Site) -> None:
    """Who asks and does not read is not answered for ever out of our memory."""
    key = site.make_key()
    async with await hand_agent(site, key) as agent:
        await agent.attach(free_port())
        await agent.wire.say(b"are you there", WS_PING)
        assert await agent.wire.frame() == (WS_PONG, b"are you there")
        agent.wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        pings = agent.wire.framed(bytes(125), WS_PING) * 2_000
        size_before = resident()
        for _ in range(200):
            await agent.wire.send(pings)
        await until(lambda: not agent.wire.writer.transport.get_write_buffer_size(), "all pings sent")
        assert resident() - size_before < 16 << 20  # where the answers would be 50 MB
