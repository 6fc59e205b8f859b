"""A network that breaks, between agents and their relay: a proxy that agents dial through, and that fails.

    async with Breaker() as breaker:
        site.start_agent(key, spec, proxy=breaker.url)
        breaker.fate = lambda: Fate(after=12_345)   # of every link that is dialled from now on
        breaker.vanish()                            # no byte passes any more, and nobody is told

It is an HTTP proxy (CONNECT), so that agents ask for the relay by its own name. A cut falls between any two
bytes, those of a TLS handshake and of a frame too.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from tests.ends import LOOPBACK, Conversation

CHUNK = 65_536
NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a link: it is cut when `after` bytes have passed, both directions together.

    `told`: both ends see a reset. Else the agent does; the relay's connection stays, and is silent.
    """

    after: int = NEVER
    told: bool = True


@dataclass(slots=True)
class _Link:
    left: int
    vanished: bool = False


class _Cut(Exception):
    """The link has carried all that it may."""


class Breaker:
    """The proxy. `fate` is asked once for each link that is dialled."""

    def __init__(self) -> None:
        self.fate: Callable[[], Fate] = Fate
        self.cuts = 0
        """Links that met their fate."""
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.setblocking(False)
        self._links: list[_Link] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    @property
    def url(self) -> str:
        """What an agent is told as its proxy."""
        return f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"

    def vanish(self) -> None:
        """From now on the links that there are carry nothing, and do not end either. New ones do."""
        for link in self._links:
            link.vanished = True

    async def __aenter__(self) -> Self:
        self._tasks.add(asyncio.create_task(self._accept()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._listener.close()
        if error is None and self._failed:
            raise self._failed[0]

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._listener)
            sock.setblocking(False)
            agent = Conversation(sock)
            task = asyncio.create_task(self._lead(agent))
            self._tasks.add(task)
            task.add_done_callback(partial(self._ended, agent))

    def _ended(self, agent: Conversation, task: asyncio.Task[None]) -> None:
        agent.close()  # also of a task that was cancelled before it began
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)

    async def _lead(self, agent: Conversation) -> None:
        with agent, contextlib.suppress(ConnectionError):  # somebody left before the two were joined
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += (piece := await agent.some())
                if not piece:
                    return
            with await Conversation.connect(int(asked.split()[1].rpartition(b":")[2])) as relay:
                await agent.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._join(agent, relay)

    async def _join(self, agent: Conversation, relay: Conversation) -> None:
        """Carry until both ends have said all, or one has reset, or fate will have it."""
        fate = self.fate()
        link = _Link(fate.after)
        self._links.append(link)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(link, agent.sock, relay.sock))
                both.create_task(self._carry(link, relay.sock, agent.sock))
        except* (_Cut, ConnectionError):
            agent.reset()
            if link.left or fate.told:
                relay.reset()
        finally:
            self._links.remove(link)
        if not link.left:
            self.cuts += 1
            if not fate.told:
                await relay.gone()

    async def _carry(self, link: _Link, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while piece := await loop.sock_recv(source, CHUNK):
            if link.vanished:
                await asyncio.Event().wait()  # until the test is over
            passes = piece[: link.left]
            link.left -= len(passes)
            await loop.sock_sendall(sink, passes)
            if not link.left:
                raise _Cut
        with contextlib.suppress(OSError):  # it was reset meanwhile, as the other direction will see
            sink.shutdown(socket.SHUT_WR)
