"""Both sides of `aditus.v1` by hand, over TLS: what strangers, hostile agents and hostile relays would send.

Nothing here uses `aditus.net`; frames are those of the protocol page. Every wait is bounded.
"""

import asyncio
import base64
import contextlib
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha1
from struct import pack, unpack
from types import TracebackType
from typing import Self

from aditus.domain.connect_url import RelayUrl
from aditus.domain.ports import Signer
from aditus.wire import frames
from aditus.wire.frames import FrameType, Role
from tests.ends import LOOPBACK, soon

TEXT, BINARY, WS_CLOSE, WS_PING, WS_PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def reason(self) -> str:
        """The relay's own word, or nothing."""
        return self.headers.get("aditus-reason", "")


@dataclass(slots=True)
class Wire:
    """One TLS connection: HTTP first, and WebSocket frames after an upgrade."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    masks: bool = True  # clients do, servers do not
    bundled: list[bytes] = field(default_factory=list)  # came in one message, and are still to be read

    @classmethod
    async def connect(cls, relay: RelayUrl, trust: ssl.SSLContext) -> Self:
        reader, writer = await soon(
            asyncio.open_connection(LOOPBACK, relay.port, ssl=trust, server_hostname=relay.host)
        )
        return cls(reader, writer)

    # --- HTTP ----------------------------------------------------------------------------------

    async def ask(self, path: str, headers: Mapping[str, str], method: str = "GET") -> Answer:
        """Send a request, and read the answer."""
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return await self.answer()

    async def answer(self) -> Answer:
        """The next answer."""
        head = await soon(self.reader.readuntil(b"\r\n\r\n"))
        first, *lines = head.decode().rstrip().split("\r\n")
        pairs = (line.partition(":")[::2] for line in lines)
        headers = {name.lower(): value.strip() for name, value in pairs}
        body = await soon(self.reader.readexactly(int(headers.get("content-length", "0"))))
        return Answer(int(first.split()[1]), headers, body)

    # --- WebSocket -----------------------------------------------------------------------------

    async def say(self, payload: bytes, opcode: int = BINARY, *, fin: bool = True, rsv: int = 0) -> None:
        """Send one frame."""
        await self.send(self.framed(payload, opcode, fin=fin, rsv=rsv))

    def framed(self, payload: bytes, opcode: int = BINARY, *, fin: bool = True, rsv: int = 0) -> bytes:
        """The bytes of one frame."""
        size, mask_bit = len(payload), 0x80 if self.masks else 0
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        if size < 126:
            head += bytes([mask_bit | size])
        elif size < 65_536:
            head += bytes([mask_bit | 126]) + pack("!H", size)
        else:
            head += bytes([mask_bit | 127]) + pack("!Q", size)
        return head + (bytes(4) if self.masks else b"") + payload  # a mask of zeros changes nothing

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload; those of a BUNDLE come one by one.

        `IncompleteReadError` at the end of the connection.
        """
        while not self.bundled:
            opcode, payload = await self._message()
            if opcode != BINARY:
                return opcode, payload
            self.bundled = [bytes(frame) for frame in frames.unbundle(memoryview(payload))]
        return BINARY, self.bundled.pop(0)

    async def _message(self) -> tuple[int, bytes]:
        first, second = await soon(self.reader.readexactly(2))
        size = second & 0x7F
        if size == 126:
            (size,) = unpack("!H", await soon(self.reader.readexactly(2)))
        elif size == 127:
            (size,) = unpack("!Q", await soon(self.reader.readexactly(8)))
        mask = await soon(self.reader.readexactly(4)) if second & 0x80 else bytes(4)
        payload = await soon(self.reader.readexactly(size))
        if any(mask):
            payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        return first & 0xF, payload

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end: the close code and reason that came; no code when none came."""
        try:
            while True:
                opcode, payload = await self.frame()
                if opcode == WS_CLOSE:
                    return unpack("!H", payload[:2])[0], payload[2:].decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return None, ""

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)
        await soon(self.writer.drain())

    async def ended(self) -> bool:
        """Wait until the other side ends the connection, however."""
        try:
            while await soon(self.reader.read(65_536)):
                pass
        except ConnectionError:
            pass
        return True

    async def close(self) -> None:
        """Drop the connection without a word."""
        self.writer.transport.abort()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await soon(self.writer.wait_closed())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def upgrade(relay: RelayUrl, bearer: str = "") -> dict[str, str]:
    """The headers of a proper upgrade request."""
    headers = {
        "Host": relay.audience,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "aditus.v1",
    }
    return headers | ({"Authorization": f"Bearer {bearer}"} if bearer else {})


@dataclass(slots=True)
class HandAgent:
    """An agent made by hand: it says what it is told, and hears what the relay says."""

    wire: Wire
    signer: Signer
    audience: str
    instance: bytes = field(default_factory=lambda: os.urandom(16))
    slot: int = 0
    challenge: bytes = b""
    connect_id: str = ""

    @classmethod
    async def dial(
        cls, relay: RelayUrl, trust: ssl.SSLContext, signer: Signer, path: str, **details: object
    ) -> "HandAgent":
        """Connect and upgrade, up to the relay's HELLO."""
        wire = await Wire.connect(relay, trust)
        answer = await wire.ask(path, upgrade(relay, signer.bearer(relay.audience, time.time())))
        assert answer.status == 101, answer
        agent = cls(wire, signer, relay.audience, **details)  # type: ignore[arg-type]
        kind, _, payload = await agent.hear()
        assert kind == FrameType.HELLO
        hello = frames.decode_acceptor_hello(payload)
        agent.challenge, agent.connect_id = hello.challenge, hello.connect_id
        return agent

    def hello(self, **details: object) -> bytes:
        """The HELLO frame that answers the challenge; `details` are fields of `DialerHello`."""
        role = details.pop("role", Role.AGENT)
        assert isinstance(role, Role)
        message = frames.attach_message(
            role, self.challenge, self.connect_id, self.signer.key_id, self.audience, self.instance
        )
        told: dict[str, object] = {
            "role": role,
            "slot": self.slot,
            "first_window": 65_536,
            "instance": self.instance,
            "signature": self.signer.sign(message),
            **details,
        }
        return frames.encode_dialer_hello(frames.DialerHello(**told))  # type: ignore[arg-type]

    async def attach(self, *ports: int) -> frames.Status:
        """Answer the challenge and offer these ports; the relay's STATUS."""
        await self.wire.say(self.hello())
        await self.wire.say(frames.encode_offer(frames.Offer(1, ports)))
        _kind, count, payload = await self.hear(FrameType.STATUS)
        return frames.decode_status(count, payload)

    async def hear(self, wanted: FrameType | None = None) -> tuple[int, int, bytes]:
        """The next frame of the protocol (of the wanted type): type, arg, payload."""
        while True:
            opcode, message = await self.wire.frame()
            assert opcode == BINARY, (opcode, message)
            kind, arg, _ = frames.decode_header(message)
            if wanted is None or kind == wanted:
                return kind, arg, message[frames.HEADER_SIZE :]

    async def __aenter__(self) -> "HandAgent":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.wire.close()


Script = Callable[[Wire, Mapping[str, str]], Awaitable[None]]


class HandRelay:
    """A relay made by hand: what it answers to each connection, the test says."""

    def __init__(self, tls: ssl.SSLContext, *scripts: Script, host: str = LOOPBACK) -> None:
        self.url: RelayUrl
        self._host = host
        self.asked: list[Mapping[str, str]] = []
        """The headers of each request, in lower case, with the path as `:path`."""
        self._tls = tls
        self._scripts = scripts
        self._server: asyncio.Server
        self._failed: list[BaseException] = []
        self._talks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._talk, self._host, 0, ssl=self._tls)
        name = "localhost" if self._host == LOOPBACK else self._host
        self.url = RelayUrl(name, self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        if error is None and self._failed:
            raise self._failed[0]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        wire = Wire(reader, writer, masks=False)
        try:
            head = await soon(reader.readuntil(b"\r\n\r\n"))
            first, *lines = head.decode().rstrip().split("\r\n")
            asked = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            self.asked.append({":path": first.split()[1], **asked})
            script = self._scripts[min(len(self.asked), len(self._scripts)) - 1]
            await script(wire, self.asked[-1])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the agent has gone
        except AssertionError as error:
            self._failed.append(error)
        finally:
            await wire.close()


def refuse(status: int, reason: str = "", **headers: str) -> Script:
    """A script: answer with this status, and this word of the relay's."""

    async def script(wire: Wire, asked: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} No", "Content-Length: 0", "Connection: close"]
        lines += [f"Aditus-Reason: {reason}"] * bool(reason)
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await wire.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        await wire.ended()

    return script


async def accept(wire: Wire, asked: Mapping[str, str]) -> None:
    """Upgrade, and say HELLO."""
    await switch(wire, asked)
    connect_id = asked[":path"].removeprefix("/connect").removeprefix("/")
    await wire.say(frames.encode_acceptor_hello(frames.AcceptorHello(bytes(32), connect_id, 65_536)))


async def switch(wire: Wire, asked: Mapping[str, str], protocol: str = "aditus.v1") -> None:
    """Upgrade, and no more."""
    key = base64.b64encode(sha1(asked["sec-websocket-key"].encode() + _GUID).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {key}",
        *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []),
    ]
    await wire.send("\r\n".join(lines).encode() + b"\r\n\r\n")


async def register(wire: Wire, asked: Mapping[str, str]) -> frames.Offer:
    """Upgrade, take HELLO and OFFER, and say STATUS: every port is served."""
    await accept(wire, asked)
    offer = None
    while offer is None:
        _, message = await wire.frame()
        kind, count, _ = frames.decode_header(message)
        if kind == FrameType.OFFER:
            offer = frames.decode_offer(count, message[frames.HEADER_SIZE :])
    ports = tuple(frames.PortVerdict(port, frames.Verdict.SERVED) for port in offer.ports)
    await wire.say(frames.encode_status(frames.Status(offer.revision, ports)))
    return offer


def then_close(code: int, reason: str = "") -> Script:
    """A script: attach the agent, then close with this code."""

    async def script(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.say(pack("!H", code) + reason.encode(), WS_CLOSE)
        await wire.ended()

    return script
