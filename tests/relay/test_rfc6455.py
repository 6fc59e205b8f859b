"""RFC 6455 by hand, against a relay with TLS: what each request and each frame is answered.

Two tables, one of requests and one of frames. In all cases the relay goes on as before for everybody else,
which is what the bystander is there for: an agent of another key, whose app has a conversation from before
to after. Where the answer is not the RFC's, the row says why that does no harm.
"""

import base64
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from struct import pack

import pytest

from aditus.wire import frames
from aditus.wire.frames import MAX_FRAME, FrameType
from tests.ends import Conversation, Echo, free_port, on_linux, resident, until
from tests.raw import BINARY, TEXT, WS_CLOSE, WS_PING, WS_PONG, HandAgent, Wire, upgrade
from tests.world import Key, Site

CONTINUATION = 0x0
MIB = 1 << 20


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Its deadline for HELLO is far away: what closes here is the answer to a frame."""
    async with Site(tmp_path, handshake_seconds=600) as site:
        yield site


class Bystander:
    """Another key's agent, with a stream that was open before and says that it still is."""

    def __init__(self, site: Site, key: Key, app: Conversation) -> None:
        self._site = site
        self._key = key
        self._app = app

    async def is_undisturbed(self) -> None:
        block = os.urandom(4_096)
        await self._app.send(block)
        assert await self._app.exactly(len(block)) == block
        assert len(self._site.tunnels(self._key)) == 1


@pytest.fixture
async def bystander(site: Site) -> AsyncIterator[Bystander]:
    async with Echo() as echo:
        key = site.make_key("bystander")
        [port] = await site.offer(key, echo)
        with await site.app(port) as app:
            yield Bystander(site, key, app)


# --- requests ---------------------------------------------------------------------------------------

DROPPED = 0
"""The connection ends without an answer."""
SAMPLE_KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
SAMPLE_ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@dataclass(frozen=True, slots=True)
class Request:
    """A proper upgrade request, but for this. Headers of None are left out; `more` are lines as they are."""

    status: int
    headers: tuple[tuple[str, str | None], ...] = ()
    more: bytes = b""
    method: str = "GET"
    target: str = "{path}"
    version: str = "HTTP/1.1"
    body: bytes = b""
    why: str = ""
    """Why an answer that is not the RFC's does no harm."""

    def bytes(self, site: Site, key: Key) -> bytes:
        proper = upgrade(site.relay_url, key.signer().bearer(site.relay_url.audience, time.time()))
        headers = {**proper, **dict(self.headers)}
        target = self.target.format(path=key.url.path, host=site.relay_url.audience)
        first = f"{self.method} {target} {self.version}\r\n"
        lines = [f"{name}: {value}\r\n" for name, value in headers.items() if value is not None]
        return (first + "".join(lines)).encode("latin-1") + self.more + b"\r\n" + self.body


def having(status: int, name: str, value: str | None, why: str = "") -> Request:
    """One header is this, or is not there."""
    return Request(status, ((name, value),), why=why)


def with_lines(status: int, *lines: bytes, body: bytes = b"", why: str = "") -> Request:
    """These header lines come last."""
    return Request(status, more=b"".join(line + b"\r\n" for line in lines), body=body, why=why)


def coded(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


REQUESTS = {
    "a proper request": Request(101),
    "names and values in other letters": having(101, "Upgrade", "WebSocket"),
    "no Upgrade": having(400, "Upgrade", None),
    "an upgrade to something else": having(400, "Upgrade", "h2c"),
    "a choice of upgrades": having(
        400, "Upgrade", "h2c, websocket", "stricter: who dials an agent's URL asks for nothing else"
    ),
    "no Connection": having(400, "Connection", None),
    "Connection says close": having(400, "Connection", "close"),
    "Connection says more than Upgrade": having(
        400, "Connection", "keep-alive, Upgrade", "stricter: browsers say it, and they are no agents"
    ),
    "no version": having(400, "Sec-WebSocket-Version", None),
    "version 12": having(400, "Sec-WebSocket-Version", "12", "400 for 426: there is nothing to fall back to"),
    "version 8": having(101, "Sec-WebSocket-Version", "8", "a draft whose frames are those of the RFC"),
    "no key": having(400, "Sec-WebSocket-Key", None),
    "an empty key": having(400, "Sec-WebSocket-Key", ""),
    "a key of 15 bytes": having(400, "Sec-WebSocket-Key", coded(15)),
    "a key of 17 bytes": having(400, "Sec-WebSocket-Key", coded(17)),
    "a key that is not base64": having(400, "Sec-WebSocket-Key", "!" * 24),
    "two keys": with_lines(
        101, b"Sec-WebSocket-Key: " + coded(16).encode(), why="the first one is answered; the other is unused"
    ),
    "no subprotocol": having(400, "Sec-WebSocket-Protocol", None),
    "another subprotocol": having(400, "Sec-WebSocket-Protocol", "chat"),
    "a choice of subprotocols": having(
        400, "Sec-WebSocket-Protocol", "aditus.v2, aditus.v1", "stricter: the page asks for one alone"
    ),
    "the subprotocol in capitals": having(400, "Sec-WebSocket-Protocol", "ADITUS.V1"),
    "an extension on offer": with_lines(101, b"Sec-WebSocket-Extensions: permessage-deflate"),
    "no Host": having(101, "Host", None, "who was meant is in the signed proof, not in Host"),
    "two proofs": with_lines(101, b"Authorization: Bearer sesame", why="the first one counts, and is signed"),
    "HTTP/1.0": Request(400, version="HTTP/1.0"),
    "HTTP/2.0": Request(400, version="HTTP/2.0"),
    "POST": Request(400, method="POST"),
    "get in small letters": Request(400, method="get"),
    "two blanks in the request line": Request(400, method="GET "),
    "a whole URL as the target": Request(
        404, target="https://{host}{path}", why="stricter: no proxy is here"
    ),
    "a request line of 16 KiB": Request(DROPPED, target="{path}?" + "a" * 16_384),
    "a header of 16 KiB": with_lines(DROPPED, b"X: " + b"y" * 16_384),
    "121 more headers": with_lines(101, *[b"X: y"] * 121),
    "122 more headers": with_lines(400, *[b"X: y"] * 122),
    "a folded header": with_lines(400, b"X: y", b" z"),
    "a blank before the colon": with_lines(400, b"X : y"),
    "a header without a colon": with_lines(400, b"X"),
    "a header without a name": with_lines(400, b": y"),
    "a NUL in a header": with_lines(400, b"X: \0"),
    "a line feed in a header": with_lines(400, b"X: y\nUpgrade: h2c"),
    "an empty body": with_lines(101, b"Content-Length: 0"),
    "a body": with_lines(400, b"Content-Length: 5", body=b"hello"),
    "a body in chunks": with_lines(400, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "two lengths of the body": with_lines(400, b"Content-Length: 0", b"Content-Length: 0"),
    "a length with a sign": with_lines(400, b"Content-Length: +0"),
}


@pytest.mark.parametrize("what", REQUESTS)
async def test_a_request_is_answered(site: Site, bystander: Bystander, what: str) -> None:
    key, request = site.make_key(), REQUESTS[what]
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        await wire.send(request.bytes(site, key))
        if request.status == DROPPED:
            assert await wire.reader.read() == b""
        else:
            answer = await wire.answer()
            assert answer.status == request.status
            assert "sec-websocket-extensions" not in answer.headers
        if request.status == 101:
            _, hello = await wire.frame()
            assert frames.decode_header(hello)[0] == FrameType.HELLO
        else:
            assert await wire.ended()
        assert not site.tunnels(key)
        await bystander.is_undisturbed()


async def test_the_key_of_the_rfc_has_the_answer_of_the_rfc(site: Site) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        await wire.send(having(101, "Sec-WebSocket-Key", SAMPLE_KEY).bytes(site, site.make_key()))
        assert (await wire.answer()).headers["sec-websocket-accept"] == SAMPLE_ACCEPT


async def test_frames_may_come_with_the_request(site: Site, bystander: Bystander) -> None:
    """The RFC lets a client wait for the answer; here nothing but a ping makes sense before it."""
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        pings = wire.framed(b"early", WS_PING) + wire.framed(b"", WS_PING)
        await wire.send(Request(101, body=pings).bytes(site, site.make_key()))
        assert (await wire.answer()).status == 101
        assert sorted([await wire.frame() for _ in range(3)])[1:] == [(WS_PONG, b""), (WS_PONG, b"early")]
        await bystander.is_undisturbed()


async def test_a_second_request_after_the_upgrade_is_no_frame(site: Site, bystander: Bystander) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        request = Request(101).bytes(site, site.make_key())
        await wire.send(request * 2)
        assert (await wire.answer()).status == 101
        assert (await wire.closed())[0] == 1002
        await bystander.is_undisturbed()


@pytest.mark.parametrize("what", ["nothing", "half a request", "lines that end in line feeds"])
async def test_headers_that_do_not_come_to_their_end_in_time_are_dropped(tmp_path: Path, what: str) -> None:
    async with Site(tmp_path, handshake_seconds=0.2) as site:
        request = Request(101).bytes(site, site.make_key())
        async with await Wire.connect(site.relay_url, site.trust) as wire:
            await wire.send(
                {
                    "nothing": b"",
                    "half a request": request[:-2],
                    "lines that end in line feeds": request.replace(b"\r\n", b"\n"),
                }[what]
            )
            assert await wire.reader.read() == b""


# --- frames -----------------------------------------------------------------------------------------

GOES_ON = None
"""No answer, and the session goes on."""
Answer = int | bytes | None
"""A close code after which the session is over, or the payload of a pong, or `GOES_ON`."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes after the upgrade, and their answer: to an attached agent, and to one that has not said HELLO."""

    send: Callable[[Wire], bytes]
    attached: Answer
    before: Answer
    why: str = ""
    """Why an answer that is not the RFC's does no harm."""


def always(answer: Answer, send: Callable[[Wire], bytes], why: str = "") -> Frame:
    """The same answer before and after the proof."""
    return Frame(send, answer, answer, why)


def attached(send: Callable[[Wire], bytes]) -> Frame:
    """Right for an attached agent, and too early before the proof."""
    return Frame(send, GOES_ON, 1002)


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True, rsv: int = 0) -> Callable[[Wire], bytes]:
    return lambda wire: wire.framed(payload, opcode, fin=fin, rsv=rsv)


def head(opcode: int, form: int, size: bytes = b"", payload: bytes = b"") -> Callable[[Wire], bytes]:
    """A masked frame with this length, in this form: 126 for two bytes, 127 for eight."""
    return lambda _wire: bytes([0x80 | opcode, 0x80 | form]) + size + bytes(4) + payload


def both(*parts: Callable[[Wire], bytes]) -> Callable[[Wire], bytes]:
    """One after the other, at once."""
    return lambda wire: b"".join(part(wire) for part in parts)


def unmasked(payload: bytes, opcode: int = BINARY) -> Callable[[Wire], bytes]:
    return lambda _wire: bytes([0x80 | opcode, len(payload)]) + payload


def masked(payload: bytes, mask: bytes, opcode: int) -> Callable[[Wire], bytes]:
    hidden = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return lambda _wire: bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + hidden


def close(code: int, reason: bytes = b"") -> Callable[[Wire], bytes]:
    return frame(pack("!H", code) + reason, WS_CLOSE)


PING = frames.encode_ping(b"12345678")
DATA = frames.encode_data(1, bytes(100))
SAYABLE = (*range(1000, 1004), *range(1007, 1015), 3000, 3999, 4000, 4999)
"""Close codes that may be on the wire: the RFC's, those registered since, and everybody's own."""
UNSAYABLE = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535)

FRAMES = {
    "a frame of ours": attached(frame(PING)),
    "two frames at once": attached(both(frame(PING), frame(DATA))),
    "a length in 7 bits": attached(frame(frames.encode_data(1, bytes(117)))),  # 125 with its header
    "a length in 16 bits": attached(frame(frames.encode_data(1, bytes(118)))),
    "the longest length in 16 bits": attached(frame(frames.encode_data(1, bytes(65_527)))),
    "a length in 64 bits": attached(frame(frames.encode_data(1, bytes(65_528)))),
    "an empty message": always(1002, frame(b"")),
    "an unmasked message": always(1002, unmasked(PING)),
    "an unmasked ping": always(1002, unmasked(b"", WS_PING)),
    "an unmasked close": always(1002, unmasked(pack("!H", 1000), WS_CLOSE)),
    "a mask that changes bytes": always(b"masked", masked(b"masked", b"\x01\x82\xff\x00", WS_PING)),
    **{f"RSV{4 - bit.bit_length()} on a message": always(1002, frame(PING, rsv=bit)) for bit in (4, 2, 1)},
    **{
        f"RSV{4 - bit.bit_length()} on a ping": always(1002, frame(b"", WS_PING, rsv=bit))
        for bit in (4, 2, 1)
    },
    "RSV1 on a pong": always(1002, frame(b"", WS_PONG, rsv=4)),
    "RSV1 on a close": always(1002, frame(pack("!H", 1000), WS_CLOSE, rsv=4)),
    **{f"opcode {code:X}": always(1002, frame(b"", code)) for code in (*range(3, 8), *range(0xB, 0x10))},
    "a text": always(1002, frame(b"hello", TEXT)),
    "a text that is not UTF-8": always(
        1002, frame(b"\xff", TEXT), "no text is right here, so 1002, not 1007"
    ),
    "an empty text": always(1002, frame(b"", TEXT)),
    "a continuation of nothing": always(1002, frame(PING, CONTINUATION)),
    "a first fragment": always(1002, frame(PING, fin=False), "stricter: the page forbids fragments"),
    "a message in two fragments": always(
        1002, both(frame(PING[:4], fin=False), frame(PING[4:], CONTINUATION)), "stricter, as above"
    ),
    "a fragment of a text": always(1002, frame(b"h", TEXT, fin=False)),
    "a fragment of a ping": always(1002, frame(b"", WS_PING, fin=False)),
    "a fragment of a pong": always(1002, frame(b"", WS_PONG, fin=False)),
    "a fragment of a close": always(1002, frame(pack("!H", 1000), WS_CLOSE, fin=False)),
    "16 bits for 0 bytes": always(1002, head(BINARY, 126, pack("!H", 0))),
    "16 bits for 125 bytes": always(1002, head(BINARY, 126, pack("!H", 125), bytes(125))),
    "64 bits for 126 bytes": always(1002, head(BINARY, 127, pack("!Q", 126), bytes(126))),
    "64 bits for 65,535 bytes": always(1002, head(BINARY, 127, pack("!Q", 65_535), bytes(65_535))),
    "the first of 64 bits": always(1002, head(BINARY, 127, pack("!Q", 1 << 63))),
    "all of 64 bits": always(1002, head(BINARY, 127, pack("!Q", (1 << 64) - 1))),
    "a byte over our limit": always(1009, head(BINARY, 127, pack("!Q", MAX_FRAME + 1))),
    "as much as 64 bits allow": always(1009, head(BINARY, 127, pack("!Q", (1 << 63) - 1))),
    "a long text": always(1009, head(TEXT, 127, pack("!Q", MAX_FRAME + 1))),
    "a ping": always(b"there?", frame(b"there?", WS_PING)),
    "an empty ping": always(b"", frame(b"", WS_PING)),
    "a ping of 125 bytes": always(bytes(range(125)), frame(bytes(range(125)), WS_PING)),
    "a ping of 126 bytes": always(1002, frame(bytes(126), WS_PING)),
    "a ping whose length has 64 bits": always(1002, head(WS_PING, 127, pack("!Q", 65_536))),
    "a pong of 126 bytes": always(1002, frame(bytes(126), WS_PONG)),
    "a close of 126 bytes": always(1002, frame(pack("!H", 1000) + bytes(124), WS_CLOSE)),
    "a pong that nobody asked for": always(GOES_ON, frame(b"here", WS_PONG)),
    "a close without a code": always(1000, frame(b"", WS_CLOSE)),
    "a close with half a code": always(1002, frame(b"\x03", WS_CLOSE)),
    "a close with a reason": always(1000, close(1000, "näher".encode())),
    "a close with the longest reason": always(1000, close(1000, b"a" * 123)),
    "a close with a reason that is not UTF-8": always(1007, close(1000, b"\xff")),
    **{f"a close with {code}": always(code, close(code)) for code in SAYABLE},
    **{f"a close with {code}": always(1002, close(code)) for code in UNSAYABLE},
    "messages after a close": always(1000, both(close(1000), frame(PING), frame(b"", TEXT))),
    "a ping after a close": always(1000, both(close(1000), frame(b"", WS_PING))),
    "two closes at once": always(
        1002, both(close(1000), close(1001)), "the second is seen before the first is answered; both end it"
    ),
}


async def hear(wire: Wire) -> tuple[int, bytes]:
    """The next frame that is not one of the relay's messages."""
    while (heard := await wire.frame())[0] == BINARY:
        pass
    return heard


async def answered(wire: Wire, answer: Answer) -> None:
    """The answer comes, and nothing else but messages."""
    if isinstance(answer, int):
        opcode, payload = await hear(wire)
        assert (opcode, int.from_bytes(payload[:2])) == (WS_CLOSE, answer)
        assert await wire.reader.read() == b""  # no word after the close, and the relay hangs up
        return
    if answer is not None:
        assert await hear(wire) == (WS_PONG, answer)
    await wire.say(b"go on", WS_PING)
    assert await hear(wire) == (WS_PONG, b"go on")


@pytest.mark.parametrize("what", FRAMES)
async def test_a_frame_is_answered_before_the_proof(site: Site, bystander: Bystander, what: str) -> None:
    key = site.make_key()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.wire.send(FRAMES[what].send(agent.wire))
        await answered(agent.wire, FRAMES[what].before)
        assert not site.tunnels(key)
        await bystander.is_undisturbed()


@pytest.mark.parametrize("what", FRAMES)
async def test_a_frame_is_answered_once_attached(site: Site, bystander: Bystander, what: str) -> None:
    key, port = site.make_key(), free_port()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach(port)
        with await site.app(port) as app:
            await agent.hear(FrameType.OPEN)
            await agent.wire.say(frames.encode_accept(1))
            await agent.wire.send(FRAMES[what].send(agent.wire))
            await answered(agent.wire, FRAMES[what].attached)
            if isinstance(FRAMES[what].attached, int):
                assert await app.cut() == b""
                await site.detached(key)
            else:
                await app.send(b"to the agent")
                assert (await agent.hear(FrameType.DATA))[2] == b"to the agent"
            await bystander.is_undisturbed()


@pytest.mark.parametrize("share", [1, 5, 9])
async def test_a_frame_that_breaks_off_ends_with_its_connection(
    site: Site, bystander: Bystander, share: int
) -> None:
    key = site.make_key()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach()
        await agent.wire.send(agent.wire.framed(PING)[:share])
        await bystander.is_undisturbed()
        assert len(site.tunnels(key)) == 1  # it may still come
    await site.detached(key)
    await bystander.is_undisturbed()


@on_linux
@pytest.mark.parametrize("what", ["pings", "a frame without an end", "messages after a close"])
async def test_who_sends_on_and_reads_nothing_does_not_fill_our_memory(
    site: Site, bystander: Bystander, what: str
) -> None:
    key = site.make_key()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        wire = agent.wire
        await agent.attach()
        block = {
            "pings": wire.framed(bytes(125), WS_PING) * 500,
            "messages after a close": wire.framed(PING) * 4_000,
        }
        if what == "a frame without an end":
            await wire.send(head(BINARY, 127, pack("!Q", 1 << 40))(wire))
        elif what == "messages after a close":
            await wire.send(close(1000)(wire))
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        size_before = resident()
        try:
            for _ in range(1_000):
                await wire.send(block.get(what, bytes(65_536)))
        except ConnectionError:
            assert what != "pings"  # the others are over
        await bystander.is_undisturbed()
        assert resident() - size_before < 16 * MIB  # where 64 MB were sent
    await site.detached(key)
    await until(lambda: site.relay.totals().tunnels == 1, "that the bystander alone is left")
