"""The fuzzer: hostile agents against a live relay, and hostile relays against a live agent.

    async with Fuzzer(folder, seed) as fuzzer:
        while fuzzer.frames < 20_000:
            await fuzzer.session()

After each session the stream of a bystander, an honest agent that shares the relay with the hostile agents
and its memory with the agent under attack, says every byte again; nothing of the session is left, and nobody
logged an error. One session in eight is right in every frame and must not be closed: else the others would
show nothing. The seed and the number of a session tell what it says; challenges, signatures, ports and timing
are new each time.
"""

import asyncio
import contextlib
import ctypes
import gc
import itertools
import os
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from struct import unpack
from types import TracebackType
from typing import Self

from aditus.crypto import devca
from aditus.net import tls
from aditus.net.mux import Resources
from aditus.wire import frames
from aditus.wire.frames import FrameType, PortVerdict, Verdict
from tests.ends import LOOPBACK, PATIENCE, Conversation, Echo, free_port, resident, until
from tests.fuzz import conversations, damage
from tests.fuzz.conversations import Piece
from tests.fuzz.door import Door
from tests.raw import BINARY, WS_CLOSE, HandAgent, Wire
from tests.world import Running, Site

LOOK_EVERY = 100
"""Sessions between two looks at the memory. What there is at the first one is no growth."""
GROWTH = 96 << 20
"""Bytes that the process may have grown by at each look, however many sessions there were: what allocators
keep of the largest bursts."""
OBJECTS = 20_000
"""Python objects that may have been added to the first 140,000: a leak shows in a long run."""
SHOWN = 64
"""Bytes of a frame that a failure shows."""
MARK = b"the end."
"""What the PING after a conversation says: who answers it has taken all that was before."""
UNSAYABLE = {1004, 1005, 1006, 1011, 1015}
"""Close codes that nobody may give: those of RFC 6455, and the one that says that something failed in us."""


@dataclass(slots=True)
class Story:
    """What was said in a session, for whom it goes wrong."""

    seed: str
    number: int
    side: str = ""
    stage: str = ""
    done: list[str] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}, session {self.number}: {self.side}, {self.stage}, {self.done or 'right'}",
            f"again: make fuzz SEED={self.seed}/{self.number}",
        ]
        for piece, same in itertools.groupby(self.pieces):
            data = piece.message if piece.raw is None else piece.raw
            bits = f"opcode {piece.opcode} fin {piece.fin:d} rsv {piece.rsv}" if piece.raw is None else "raw"
            more = f" … {len(data)} bytes" if len(data) > SHOWN else ""
            lines.append(f"  {len(list(same))} × {bits} | {data[:SHOWN].hex(' ', 4)}{more} | {piece.what}")
        return "\n".join(lines)


class _Echo(Echo):
    """It keeps nothing of conversations that are over: there may be millions."""

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _say_again(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was reset between its end and ours
            await super()._say_again(sock)


class Fuzzer:
    """A relay, an agent, a bystander, and the one who attacks them."""

    def __init__(self, folder: Path, seed: str, first: int = 0) -> None:
        self.seed = seed
        self.number = first
        """Of the next session."""
        self.frames = 0
        """That were sent."""
        self.ends: Counter[str] = Counter()
        """How the sessions ended."""
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()
        self._over = False
        self._sessions = 0
        self._first: tuple[int, int] | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        if error is None:
            self._look_at_memory()
            await self._last_dial()
            self._app.close()
            await until(
                lambda: not self._site.resources.budget.spent, "that the relay has all its memory back"
            )
            await until(lambda: not self._shared.budget.spent, "that the agents have all their memory back")
        await self._stack.__aexit__(kind, error, trace)

    async def _last_dial(self) -> None:
        """The agent under attack has dialled already: let it come to its end."""
        await until(lambda: self._door.knocked or not self._victim.runs, "that the agent dials again")
        if self._door.knocked:
            wire, _path = await self._door.next()
            await wire.close()

    async def _start(self) -> None:
        self._site = site = await self._stack.enter_async_context(Site(self._folder))
        self._echo = await self._stack.enter_async_context(_Echo())
        self._shared = Resources()
        files = devca.ensure(self._folder, [], time.time())
        door_tls = tls.server_context(files.certificate, files.key)
        self._door = await self._stack.enter_async_context(Door(door_tls))
        self._key = site.make_key("hostile")
        self._signer = self._key.signer()
        self._port = free_port()
        bystander, port = site.make_key("bystander"), free_port()
        spec = f"{port}:{LOOPBACK}:{self._echo.port}"
        site.start_agent(bystander, spec, resources=self._shared)
        [self._bystander] = await site.attached(bystander)
        self._app = self._stack.enter_context(await site.app(port))
        self._victim = self._attack_again()

    def _attack_again(self) -> Running:
        """The agent under attack: it offers a service, and one that is not there."""
        specs = (f"5432:{LOOPBACK}:{self._echo.port}", f"5433:{LOOPBACK}:{free_port()}")
        url = self._door.url.connect(self._key.url.connect_id)
        return self._site.start_agent(
            self._key, *specs, urls=(url,), infinite_retries=True, pause=self._pause, resources=self._shared
        )

    async def _pause(self, _delay: float) -> None:
        """How the agent under attack waits between two tries: not at all, and at last until it is stopped."""
        await (asyncio.Event().wait() if self._over else asyncio.sleep(0))

    # --- one session ---------------------------------------------------------------------------

    async def session(self) -> None:
        """Lead the next one, and look whether all is well. Raises `AssertionError` with its story."""
        rng, story = Random(f"{self.seed}/{self.number}"), Story(self.seed, self.number)
        self.number += 1
        try:
            end = await (self._at_relay if rng.random() < 0.5 else self._at_agent)(rng, story)
            self.ends[end] += 1
            self.frames += len(story.pieces)
            if not story.done:
                assert end == "goes on", f"{end}, though nothing was wrong"
            await self._all_is_well()
        except (AssertionError, TimeoutError, OSError, EOFError) as error:
            raise AssertionError(f"{error!r}\n{story}") from error

    async def _at_relay(self, rng: Random, story: Story) -> str:
        """Be a hostile agent."""
        story.side, site = "an agent's to the relay", self._site
        early, length = rng.random() < 0.3, rng.randint(3, 24)
        apps: list[Conversation] = []
        with contextlib.ExitStack() as stack:
            async with await HandAgent.dial(
                site.relay_url, site.trust, self._signer, self._key.url.path
            ) as agent:
                if early:
                    offer = frames.encode_offer(frames.Offer(1, (self._port,)))
                    pieces = [Piece("HELLO", agent.hello()), Piece("OFFER", offer)]
                    pieces += conversations.of_agent(rng, (), None, length)
                else:
                    await agent.attach(self._port)
                    for _ in range(rng.randrange(4)):
                        apps.append(stack.enter_context(await site.app(self._port)))
                        await agent.hear(FrameType.OPEN)
                    again = frames.Offer(2, (self._port,))
                    pieces = conversations.of_agent(rng, range(1, len(apps) + 1), again, length)
                for app in apps:
                    await self._use(rng, app)
                end = await self._lead(rng, story, agent.wire, pieces, early=early)
            for app in apps:
                if app.sock.fileno() >= 0:
                    await app.gone()
        return end

    async def _use(self, rng: Random, app: Conversation) -> None:
        """An app of the hostile agent's says something, and perhaps leaves."""
        await app.send(rng.randbytes(rng.choice((0, 100, 70_000))))
        leave = rng.choice((None, None, Conversation.finish, Conversation.reset))
        if leave is not None:
            leave(app)

    async def _at_agent(self, rng: Random, story: Story) -> str:
        """Be a hostile relay."""
        story.side = "a relay's to the agent"
        await until(lambda: self._door.knocked or not self._victim.runs, "that the agent dials again")
        if not self._victim.runs:  # it was told that it is superseded
            self._victim = self._attack_again()
        wire, path = await self._door.next()
        early, length = rng.random() < 0.3, rng.randint(3, 24)
        connect_id = path.removeprefix("/connect/")
        hello = frames.encode_acceptor_hello(frames.AcceptorHello(bytes(32), connect_id, 65_536))
        entries = tuple(PortVerdict(port, Verdict.SERVED) for port in (5432, 5433))
        status = frames.Status(1, entries)
        async with wire:
            pieces = conversations.of_relay(rng, status, (5432, 5432, 5433, 1), length)
            if early:
                pieces[:0] = [Piece("HELLO", hello), Piece("STATUS", frames.encode_status(status))]
            else:
                await wire.say(hello)
                while FrameType.OFFER not in (message[0] for message in _split((await wire.frame())[1])):
                    pass
                await wire.say(frames.encode_status(status))
            return await self._lead(rng, story, wire, pieces, early=early)

    async def _lead(self, rng: Random, story: Story, wire: Wire, pieces: list[Piece], *, early: bool) -> str:
        """Damage a conversation, say it, and hear how it ends."""
        story.stage = "before the proof" if early else "attached"
        if rng.randrange(8):
            pieces, story.done = damage.spoil(rng, pieces, wire)
        story.pieces = pieces
        whole = all(piece.raw is None for piece in pieces)
        try:
            for part in _parts(rng, [piece.on_wire(wire) for piece in pieces]):
                await wire.send(part)
            if whole:
                await wire.say(frames.encode_ping(MARK))
            else:
                await _end(wire)  # the reader may wait for the rest of a frame: there is none
        except (ConnectionError, ssl.SSLError):
            pass  # it was closed before all was said; why, is still to be read
        end = await _hear_end(wire)
        assert end != "goes on" or not damage.is_fatal(story.done, wire), "a violation was taken for right"
        return end

    # --- afterwards ----------------------------------------------------------------------------

    async def _all_is_well(self) -> None:
        rng = Random(self.number)
        said = rng.randbytes(rng.choice((1, 1_000, 4_096)))
        await self._app.send(said)
        assert await self._app.exactly(len(said)) == said
        relay = self._site.relay
        await until(lambda: relay.totals().tunnels == 1, "that the bystander's tunnel alone is left")
        await until(lambda: relay.live_streams() == 1, "that the bystander's stream alone is left")
        tunnel_id = self._bystander.tunnel_id
        assert [view.tunnel_id for view in relay.tunnels(self._key.subscription_id)] == [tunnel_id]
        assert not self._site.complaints.found, self._site.complaints.found
        self._sessions += 1
        if self._sessions % LOOK_EVERY == 0:
            self._look_at_memory()

    def _look_at_memory(self) -> None:
        size, objects = _kept()
        self._first = first_size, first_objects = self._first or (size, objects)
        assert size - first_size < GROWTH, f"grown from {first_size >> 20} to {size >> 20} MiB"
        assert objects - first_objects < OBJECTS, f"grown from {first_objects} to {objects} objects"


def _kept() -> tuple[int, int]:
    """Bytes in memory and Python objects, without what is free and was not given back."""
    gc.collect()
    objects = len(gc.get_objects())
    if sys.platform != "linux":
        return 0, objects
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
    return resident(), objects


def _parts(rng: Random, pieces: list[bytes]) -> Iterator[bytes]:
    """What is written at once: all, a piece, or what the way made of it."""
    how = rng.randrange(3)
    if how == 0:
        yield from pieces
        return
    data = b"".join(pieces)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(8)) if how == 1 else []
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        yield data[start:end]


def _split(message: bytes) -> list[bytes]:
    """The frames of one message."""
    if message[0] != damage.BUNDLE:
        return [message]
    found, rest = [], message[frames.HEADER_SIZE :]
    while rest:
        size = 4 + int.from_bytes(rest[:4])
        found.append(rest[4:size])
        rest = rest[size:]
    return found


async def _end(wire: Wire) -> None:
    """Send no more, and listen on. TLS has no such thing, TCP has."""
    transport = wire.writer.transport
    await until(lambda: transport.is_closing() or not transport.get_write_buffer_size(), "that all is sent")
    if transport.is_closing():
        return
    with socket.socket(fileno=os.dup(wire.writer.get_extra_info("socket").fileno())) as same:
        same.shutdown(socket.SHUT_WR)


async def _hear_end(wire: Wire) -> str:
    """Read on until it is clear how the session goes on, or how it ended."""
    async with asyncio.timeout(PATIENCE):
        try:
            while True:
                opcode, payload = await wire.frame()
                if opcode == BINARY and frames.encode_pong(MARK) in _split(payload):
                    return "goes on"
                if opcode == WS_CLOSE:
                    (code,) = unpack("!H", payload[:2])
                    assert 1000 <= code <= 4999, code
                    assert code not in UNSAYABLE, code
                    await wire.ended()
                    return f"closed with {code}"
        except (asyncio.IncompleteReadError, ConnectionError):
            return "dropped"
