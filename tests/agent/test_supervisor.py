"""What an agent makes of each answer: go on, wait, or stop, as docs/wire-protocol.md says.

The relays here are made by hand; `Tries` is how the agent waits, so that no test waits for it.
"""

import asyncio
import contextlib
import json
import ssl
import sys
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Mapping
from email.utils import formatdate
from pathlib import Path

import pytest

from aditus.agent.settings import AgentSettings
from aditus.agent.supervisor import Agent
from aditus.crypto import devca
from aditus.crypto.keys import generate_pair, random_id
from aditus.crypto.proof import KeySigner
from aditus.domain.errors import Code
from aditus.domain.keytext import format_access_key, parse_access_key
from aditus.domain.spec import parse_specs
from aditus.net import tls
from aditus.net.links import FAILURES_BEFORE_FIRST_ATTACH
from aditus.net.mux import Resources
from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType
from tests.ends import LOOPBACK, Target, free_port, on_linux, until
from tests.raw import HandRelay, Script, Wire, accept, refuse, register, switch, then_close
from tests.world import Running

SPEC = "5432:127.0.0.1:1"


class Tries:
    """How the agent waits between two tries: not at all, until it has waited `limit` times."""

    def __init__(self, limit: int = 1_000) -> None:
        self.delays: list[float] = []
        self.over = asyncio.Event()
        """It has waited `limit` times, and waits for ever now."""
        self._limit = limit

    async def __call__(self, delay: float) -> None:
        self.delays.append(delay)
        if len(self.delays) >= self._limit:
            self.over.set()
            await asyncio.Event().wait()


class Lan:
    """A network with agents, whose relays the tests play."""

    def __init__(self, folder: Path) -> None:
        files = devca.ensure(folder, [], time.time())
        self.server = tls.server_context(files.certificate, files.key)
        self.trust = tls.client_context(files.ca)
        secret = format_access_key("local", random_id(), generate_pair().secret)
        self.signer = KeySigner(parse_access_key(secret.reveal()))
        self._agents: list[Running] = []

    def relay(self, *scripts: Script) -> HandRelay:
        """A relay that plays the first script for the first connection, and so on; the last one repeats."""
        return HandRelay(self.server, *scripts)

    def agent(
        self,
        *relays: HandRelay,
        tries: Tries | None = None,
        specs: tuple[str, ...] = (SPEC,),
        trust: ssl.SSLContext | None = None,
        infinite_retries: bool = False,
    ) -> Running:
        urls = tuple(relay.url.connect("abc") for relay in relays)
        settings = AgentSettings(urls, parse_specs(specs), infinite_retries=infinite_retries)
        pause = tries or Tries()
        agent = Agent(settings, self.signer, trust or self.trust, Resources(), pause=pause)
        self._agents.append(Running(agent, specs))
        return self._agents[-1]

    async def stop(self) -> None:
        for agent in self._agents:
            await agent.stop()


@pytest.fixture
async def lan(tmp_path: Path) -> AsyncIterator[Lan]:
    lan = Lan(tmp_path)
    yield lan
    await lan.stop()


async def serve(wire: Wire, asked: Mapping[str, str]) -> None:
    """A script: let the agent in, and stay."""
    await register(wire, asked)
    await wire.ended()


async def lose(wire: Wire, asked: Mapping[str, str]) -> None:
    """A script: let the agent in, and be lost."""
    await register(wire, asked)


# --- answers to the upgrade ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (401, "bad-proof", Code.UNAUTHENTICATED),
        (403, "revoked", Code.FORBIDDEN),
        (403, "expired", Code.FORBIDDEN),
        (403, "replaced", Code.FORBIDDEN),
        (403, "wrong-region", Code.FORBIDDEN),
        (404, "no-such-url", Code.NOT_FOUND),
    ],
)
@pytest.mark.parametrize("infinite", [False, True])
async def test_a_relay_that_refuses_the_key_stops_the_agent(
    lan: Lan, status: int, reason: str, code: Code, infinite: bool
) -> None:
    async with lan.relay(refuse(status, reason)) as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries, infinite_retries=infinite).ended()
        assert (error.code, error.reason) == (code, reason)
        assert error.remedy
        assert tries.delays == []
        assert len(relay.asked) == 1


@pytest.mark.parametrize(
    ("script", "least", "most"),
    [
        (refuse(403, "suspended"), 24, 36),
        (refuse(429, "slow-down", Retry_After="7"), 7, 10.5 + 8),
        (refuse(503, "draining", Retry_After="1"), 1, 1.5 + 8),
        (refuse(503, "draining", Retry_After="86400"), 300, 450 + 8),  # no relay keeps an agent away longer
        (refuse(503, "draining"), 0, 60),
        (refuse(503, "draining", Retry_After="soon"), 0, 60),
    ],
    ids=["suspended", "slow-down", "draining", "for a day", "not saying when", "saying nonsense"],
)
async def test_a_relay_that_asks_to_wait_is_asked_again_later(
    lan: Lan, script: Script, least: float, most: float
) -> None:
    async with lan.relay(script, script, script, serve) as relay:
        tries = Tries()
        running = lan.agent(relay, tries=tries)
        await until(lambda: not running.agent.not_ready(), "the agent attached")
        assert len(tries.delays) == 3
        assert all(least <= delay <= most for delay in tries.delays)


async def test_a_crowd_that_is_told_the_same_second_does_not_come_back_together(lan: Lan) -> None:
    crowd = [Tries() for _ in range(20)]
    async with lan.relay(*[refuse(503, "draining", Retry_After="1")] * len(crowd), serve) as relay:
        agents = [lan.agent(relay, tries=tries) for tries in crowd]
        await until(lambda: not any(running.agent.not_ready() for running in agents), "all are attached")
        delays = sorted(delay for tries in crowd for delay in tries.delays)
        await lan.stop()
    assert len(delays) == len(crowd)
    assert delays[0] >= 1
    assert delays[-1] - delays[0] >= 2


async def test_waiting_as_told_is_no_failure(lan: Lan) -> None:
    async with lan.relay(*[refuse(403, "suspended")] * 30, serve) as relay:
        running = lan.agent(relay)
        await until(lambda: not running.agent.not_ready(), "the agent attached")
        assert len(relay.asked) == 31


async def garbage(wire: Wire, asked: Mapping[str, str]) -> None:
    await wire.send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n\r\n")


async def other_protocol(wire: Wire, asked: Mapping[str, str]) -> None:
    await switch(wire, asked, protocol="")
    await wire.ended()


async def hang_up(wire: Wire, asked: Mapping[str, str]) -> None:
    pass


async def endless(wire: Wire, asked: Mapping[str, str]) -> None:
    with contextlib.suppress(ConnectionError):
        await wire.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)


NOT_RELAYS: dict[str, Script] = {
    "a proxy's 401": refuse(401),
    "a proxy's 403": refuse(403),
    "a balancer's 404": refuse(404),
    "a 502": refuse(502),
    "a 503 that says when": refuse(503, Retry_After="5"),
    "a redirect": refuse(302, Location="https://elsewhere.example/connect/abc"),
    "a web page": refuse(200),
    "garbage": garbage,
    "a WebSocket of another kind": other_protocol,
    "nothing": hang_up,
    "headers without an end": endless,
}


@pytest.mark.parametrize("what", NOT_RELAYS)
async def test_what_is_not_aditus_own_word_is_tried_again_ten_times_before_the_first_attach(
    lan: Lan, what: str
) -> None:
    async with lan.relay(NOT_RELAYS[what]) as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries).ended()
        assert error.code is Code.UNAVAILABLE
        dials = [asked for asked in relay.asked if "upgrade" in asked]  # not the look why it hangs up
        assert len(dials) == FAILURES_BEFORE_FIRST_ATTACH == 10
        assert 0 <= tries.delays[0] <= 5
        assert all(1 <= delay <= 60 for delay in tries.delays[1:])
        assert len(set(tries.delays)) > 5  # jittered
        for asked in dials:
            assert asked[":path"] == "/connect/abc"


async def test_a_relay_that_is_not_there_is_tried_ten_times(lan: Lan) -> None:
    async with lan.relay() as relay:
        pass  # its port is closed from now on
    tries = Tries()
    error = await lan.agent(relay, tries=tries).ended()
    assert error.reason == "unreachable"
    assert "connection refused" in error.message
    assert len(tries.delays) == 9


async def test_an_agent_that_was_attached_goes_on_for_ever(lan: Lan) -> None:
    async with lan.relay(lose, *[refuse(502)] * 20, hang_up, garbage, refuse(404), serve) as relay:
        running = lan.agent(relay)
        await until(lambda: len(relay.asked) == 25, "the last try")
        await until(lambda: not running.agent.not_ready(), "the agent attached again")
        assert running.runs


async def test_with_infinite_retries_ten_failures_are_not_the_end(lan: Lan) -> None:
    async with lan.relay(*[refuse(502)] * 15, serve) as relay:
        running = lan.agent(relay, infinite_retries=True)
        await until(lambda: not running.agent.not_ready(), "the agent attached")
        assert len(relay.asked) == 16


async def test_a_certificate_that_is_not_trusted_ends_the_agent_at_once(lan: Lan) -> None:
    async with lan.relay(serve) as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries, trust=tls.client_context()).ended()
        assert (error.code, error.reason) == (Code.UNAVAILABLE, "untrusted-relay")
        assert "--ca-file" in error.remedy
        assert tries.delays == []
        assert relay.asked == []  # nothing was said to it


@on_linux  # where all of 127.0.0.0/8 is this machine
async def test_a_certificate_for_another_name_ends_the_agent_at_once(lan: Lan) -> None:
    async with HandRelay(lan.server, serve, host="127.0.0.2") as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries).ended()
        assert error.reason == "untrusted-relay"
        assert "127.0.0.2" in error.message
        assert tries.delays == []


async def test_a_certificate_that_has_expired_ends_the_agent_at_once(lan: Lan, tmp_path: Path) -> None:
    authority = devca.new_authority(time.time() - 700 * 86_400)
    leaf = devca.issue(authority, [], time.time() - 700 * 86_400)
    for name, content in (("ca", authority.certificate), ("cert", leaf.certificate), ("key", leaf.key)):
        (tmp_path / name).write_bytes(content)
    async with HandRelay(tls.server_context(tmp_path / "cert", tmp_path / "key"), serve) as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries, trust=tls.client_context(tmp_path / "ca")).ended()
        assert error.reason == "untrusted-relay"
        assert "expired" in error.message
        assert tries.delays == []


async def test_an_attached_agent_outlives_a_certificate_that_expired_meanwhile(lan: Lan) -> None:
    async with lan.relay(lose) as relay:
        tries = Tries(limit=15)
        running = lan.agent(relay, tries=tries)
        await until(lambda: relay.asked, "the first attach")
        running.agent._links.keepers[0].link.tls = tls.client_context()  # trusts it no more
        await tries.over.wait()
        assert running.runs


async def test_a_certificate_that_is_not_trusted_is_waited_for_with_infinite_retries(lan: Lan) -> None:
    async with lan.relay(serve) as relay:
        tries = Tries(limit=15)
        running = lan.agent(relay, tries=tries, trust=tls.client_context(), infinite_retries=True)
        await tries.over.wait()
        assert running.runs


def issued_at(asked: Mapping[str, str]) -> float:
    payload = asked["authorization"].split()[1].split(".")[1]
    return float(json.loads(urlsafe_b64decode(payload + "=="))["iat"])


async def test_an_agent_whose_clock_is_off_takes_the_relays(lan: Lan) -> None:
    ahead = time.time() + 7_200
    skewed = refuse(401, "clock-skew", Date=formatdate(ahead, usegmt=True))
    async with lan.relay(skewed, serve) as relay:
        tries = Tries()
        running = lan.agent(relay, tries=tries)
        await until(lambda: not running.agent.not_ready(), "the agent attached")
        before, after = map(issued_at, relay.asked)
        assert abs(before - time.time()) < 10
        assert abs(after - ahead) < 10
        assert len(tries.delays) == 1
        assert tries.delays[0] <= 5


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 01 Jan 0001 00:00:00 -0000"])
async def test_a_clock_that_cannot_be_corrected_is_a_failure_like_others(lan: Lan, date: str) -> None:
    async with lan.relay(refuse(401, "clock-skew", Date=date)) as relay:
        error = await lan.agent(relay).ended()
        assert error.reason == "clock-skew"
        assert 10 <= len(relay.asked) <= 11


async def test_a_relay_that_says_clock_skew_for_ever_is_not_asked_without_a_pause(lan: Lan) -> None:
    script = refuse(401, "clock-skew", Date=formatdate(usegmt=True))
    async with lan.relay(script) as relay:
        error = await lan.agent(relay).ended()
        assert error.reason == "clock-skew"
        assert len(relay.asked) <= 11


# --- the end of a session -------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["revoked", "expired", "replaced"])
async def test_a_key_that_lost_its_right_stops_an_attached_agent(lan: Lan, reason: str) -> None:
    async with lan.relay(then_close(1008, reason)) as relay:
        tries = Tries()
        error = await lan.agent(relay, tries=tries).ended()
        assert (error.code, error.reason) == (Code.FORBIDDEN, reason)
        assert tries.delays == []


async def test_with_infinite_retries_a_lost_right_is_asked_for_every_five_minutes(lan: Lan) -> None:
    """Also when the answer to the next tries is the refusal of a dead key or of its URL."""
    scripts = (
        then_close(1008, "revoked"),
        refuse(403, "revoked"),
        refuse(403, "revoked"),
        refuse(404, "no-such-url"),
        refuse(502),
        serve,
    )
    async with lan.relay(*scripts) as relay:
        tries = Tries()
        running = lan.agent(relay, tries=tries, infinite_retries=True)
        await until(lambda: len(relay.asked) == 6, "the last try")
        await until(lambda: not running.agent.not_ready(), "the agent attached again")
        assert tries.delays[:4] == [300] * 4


@pytest.mark.parametrize(
    ("code", "reason", "least", "most"),
    [
        (4002, "suspended", 24, 36),
        (1013, "overloaded", 24, 36 + 5),
        (1001, "drain", 0, 5),
        (1002, "protocol", 0, 5),
        (1008, "a proxy's own reason", 0, 5),
        (1000, "", 0, 5),
        (1011, "", 0, 5),
        (3000, "revoked", 0, 5),
    ],
)
async def test_any_other_end_of_a_session_is_followed_by_another_try(
    lan: Lan, code: int, reason: str, least: float, most: float
) -> None:
    async with lan.relay(then_close(code, reason), serve) as relay:
        tries = Tries()
        running = lan.agent(relay, tries=tries)
        await until(lambda: len(relay.asked) == 2, "another try")
        await until(lambda: not running.agent.not_ready(), "the agent attached again")
        [delay] = tries.delays
        assert least <= delay <= most


async def test_a_superseded_link_stops_quietly(lan: Lan) -> None:
    async with lan.relay(then_close(4001, "superseded")) as relay:
        error = await lan.agent(relay, infinite_retries=True).ended()
        assert error.reason == "superseded"
        assert len(relay.asked) == 1


async def test_an_agent_with_two_relays_runs_until_the_last_has_refused_it(lan: Lan) -> None:
    async with lan.relay(refuse(404, "no-such-url")) as one, lan.relay(serve) as two:
        running = lan.agent(one, two)
        await until(lambda: running.agent.rows()[0].state == "stopped", "the first link's end")
        await until(lambda: not running.agent.not_ready(), "the second link")
        assert running.runs
        assert [row.state for row in running.agent.rows()] == ["stopped", "attached"]


async def test_a_relay_that_never_answers_hello_is_given_up(lan: Lan) -> None:
    async def silent(wire: Wire, asked: Mapping[str, str]) -> None:
        await accept(wire, asked)
        await wire.closed()

    async with lan.relay(silent) as relay:
        running = lan.agent(relay)
        await until(lambda: relay.asked, "a try")
        assert running.agent.not_ready()
        assert running.runs


async def test_an_agent_that_is_stopped_while_it_dials_does_not_attach_afterwards(lan: Lan) -> None:
    go_on = asyncio.Event()
    heard: list[int] = []

    async def slow(wire: Wire, asked: Mapping[str, str]) -> None:
        await go_on.wait()
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await accept(wire, asked)
            heard.append((await wire.frame())[0])
        go_on.clear()

    async with lan.relay(slow) as relay:
        running = lan.agent(relay)
        await until(lambda: relay.asked, "a try")
        await running.stop()
        go_on.set()
        await until(lambda: not go_on.is_set(), "the end of the connection")
        assert heard == []


# --- what a hostile relay can and cannot do --------------------------------------------------------


class Connects:
    """Every `connect()` of this process, while it is watched."""

    def __init__(self) -> None:
        self.addresses: list[object] = []
        self._watching = True
        sys.addaudithook(self._on_event)  # for good: there is no way to take it away again

    def _on_event(self, event: str, args: tuple[object, ...]) -> None:
        if self._watching and event == "socket.connect":
            self.addresses.append(args[1])

    def stop(self) -> None:
        self._watching = False


async def test_no_relay_makes_an_agent_dial_what_is_not_in_its_specs(lan: Lan) -> None:
    done = asyncio.Event()
    refused: list[int] = []
    connects = Connects()

    async def hostile(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        connects.addresses.clear()
        ports = [port for port in range(1, 10_002) if port != app_port]
        for number, port in enumerate(ports, 1):
            await wire.say(frames.encode_open(number, port, "127.0.0.1:5432"))
        while len(refused) < len(ports):
            _, message = await wire.frame()
            kind, arg, number = frames.decode_header(message)
            if kind == FrameType.RESET:
                assert arg == ResetReason.PORT_NOT_OFFERED
                refused.append(number)
        assert connects.addresses == []
        await wire.say(frames.encode_open(len(ports) + 1, app_port))
        while frames.decode_header((await wire.frame())[1])[0] != FrameType.ACCEPT:
            pass
        assert connects.addresses == [(LOOPBACK, service.port)]
        done.set()
        await wire.ended()

    with Target() as service:
        app_port = free_port()
        async with lan.relay(hostile) as relay:
            lan.agent(relay, specs=(f"{app_port}:{LOOPBACK}:{service.port}",))
            try:
                await asyncio.wait_for(done.wait(), 20)
            finally:
                connects.stop()


@pytest.mark.parametrize(
    "frame",
    [
        frames.encode_offer(frames.Offer(1, (5432,))),
        frames.encode_data(7, b"for no stream"),
        frames.encode_accept(7),
        b"",
        b"\x00" * 8,
        frames.encode_acceptor_hello(frames.AcceptorHello(bytes(32), "abc", 65_536)),
    ],
    ids=lambda frame: frame[:1].hex() or "nothing",
)
async def test_a_relay_that_breaks_the_protocol_is_left_and_tried_again(lan: Lan, frame: bytes) -> None:
    codes: list[int | None] = []

    async def breaks(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.say(frame)
        codes.append((await wire.closed())[0])

    async with lan.relay(breaks, serve) as relay:
        running = lan.agent(relay)
        await until(lambda: len(relay.asked) == 2, "another try")
        await until(lambda: not running.agent.not_ready(), "the agent attached again")
        assert codes == [1002]


# --- a relay that leaves ----------------------------------------------------------------------------


async def test_when_a_relay_leaves_the_agent_attaches_again_first_and_its_streams_go_on(lan: Lan) -> None:
    may_attach, attached_again = asyncio.Event(), asyncio.Event()
    left = asyncio.Event()

    async def leaves(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.say(frames.encode_goaway(60, "drain"))
        await wire.say(frames.encode_open(1, app_port))  # an app that came meanwhile
        await hears(wire, FrameType.ACCEPT)
        may_attach.set()
        assert frames.decode_offer(0, await hears(wire, FrameType.OFFER)) == frames.Offer(2, ())
        assert attached_again.is_set()
        await wire.say(frames.encode_open(2, app_port))  # the last one, before the relay has read that
        await hears(wire, FrameType.ACCEPT)
        await wire.say(frames.encode_status(frames.Status(2, ())))
        await wire.say(frames.encode_reset(2, ResetReason.APP_RESET))
        await wire.say(frames.encode_data(1, b"still carried"))
        assert await hears(wire, FrameType.DATA) == b"STILL CARRIED"
        await wire.say(frames.encode_fin(1))
        await hears(wire, FrameType.FIN)
        assert (await wire.closed())[0] == 1001  # its last stream is done
        left.set()

    async def stays(wire: Wire, asked: Mapping[str, str]) -> None:
        await may_attach.wait()
        attached_again.set()
        await register(wire, asked)
        await wire.ended()

    with Target() as service:
        app_port = free_port()
        async with lan.relay(leaves, stays) as relay:
            lan.agent(relay, specs=(f"{app_port}:{LOOPBACK}:{service.port}",))
            there = await service.accept()
            assert await there.exactly(13) == b"still carried"
            await there.send(b"STILL CARRIED")
            assert await there.rest() == b""
            there.finish()
            await asyncio.wait_for(left.wait(), 20)


async def test_with_a_second_relay_the_agent_offers_a_leaving_one_nothing_at_once(lan: Lan) -> None:
    both_attached, left = asyncio.Event(), asyncio.Event()

    async def leaves(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await both_attached.wait()
        await wire.say(frames.encode_goaway(60, "drain"))
        assert frames.decode_offer(0, await hears(wire, FrameType.OFFER)) == frames.Offer(2, ())
        await wire.say(frames.encode_status(frames.Status(2, ())))
        assert (await wire.closed())[0] == 1001
        left.set()

    async with lan.relay(leaves, refuse(503, "draining")) as one, lan.relay(serve) as two:
        running = lan.agent(one, two)
        await until(lambda: [row.state for row in running.agent.rows()] == ["attached"] * 2, "both links")
        both_attached.set()
        await asyncio.wait_for(left.wait(), 20)
        assert not running.agent.not_ready()


async def test_a_relay_that_leaves_as_soon_as_it_lets_in_is_not_asked_without_a_pause(lan: Lan) -> None:
    async def leaves(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.say(frames.encode_goaway(0, "drain"))
        await wire.closed()

    async with lan.relay(leaves) as relay:
        tries = Tries(limit=5)
        lan.agent(relay, tries=tries)
        await tries.over.wait()
        assert len(relay.asked) == 5
        assert max(tries.delays) > 0


async def test_streams_that_outlive_the_grace_of_a_leaving_relay_are_cut(lan: Lan) -> None:
    async def leaves(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.say(frames.encode_open(1, app_port))
        await hears(wire, FrameType.ACCEPT)
        await wire.say(frames.encode_goaway(1, "drain"))
        await wire.closed()

    with Target() as service:
        app_port = free_port()
        async with lan.relay(leaves, serve) as relay:
            lan.agent(relay, specs=(f"{app_port}:{LOOPBACK}:{service.port}",))
            there = await service.accept()
            assert await there.cut() == b""


async def hears(wire: Wire, wanted: FrameType) -> bytes:
    """The payload of the next frame of this type."""
    while True:
        _, message = await wire.frame()
        if frames.decode_header(message)[0] == wanted:
            return message[frames.HEADER_SIZE :]
