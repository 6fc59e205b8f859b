"""Many agents in one process, each as `aditus connect` makes it, with a link and a back-off of its own."""

import asyncio
import logging
import ssl
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from aditus.agent.settings import AgentSettings
from aditus.agent.supervisor import Agent
from aditus.crypto.proof import KeySigner
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.keytext import parse_access_key
from aditus.domain.spec import parse_specs
from aditus.net import tls
from aditus.net.mux import Resources
from aditus.wiring import process
from bench.limits.child import Child, answer

AT_ONCE = 25
"""Agents that are started together: the beginning is no part of any measurement."""


@dataclass(frozen=True, slots=True)
class Member:
    """An agent to be: its secret, where it dials, and its spec."""

    secret: str
    url: str
    spec: str


class Swarm:
    """The works of such a process."""

    def __init__(self) -> None:
        self._agents: list[Agent] = []
        self._tasks: set[asyncio.Task[object]] = set()
        self._resources = Resources()

    def start(self, ca_file: str, members: Sequence[Member]) -> None:
        """Start these agents, a few at a time."""
        self._spawn(self._start(tls.client_context(Path(ca_file)), members))

    def attached(self, after: float = 0.0) -> tuple[int, float]:
        """How many are attached since a moment after `after`, and the last such moment (Unix seconds)."""
        rows = [agent.rows()[0] for agent in self._agents]
        since = [row.since for row in rows if row.state == "attached" and row.since > after]
        return len(since), max(since, default=0.0)

    def attached_count(self) -> int:
        """How many are attached."""
        return self.attached()[0]

    def _spawn(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

    async def _start(self, trust: ssl.SSLContext, members: Sequence[Member]) -> None:
        for first in range(0, len(members), AT_ONCE):
            for member in members[first : first + AT_ONCE]:
                signer = KeySigner(parse_access_key(member.secret))
                settings = AgentSettings(
                    (ConnectUrl.parse(member.url),), parse_specs([member.spec]), infinite_retries=True
                )
                agent = Agent(settings, signer, trust, self._resources)
                self._agents.append(agent)
                self._spawn(agent.run())
            while self.attached()[0] < len(self._agents):  # noqa: ASYNC110  no event tells of all
                await asyncio.sleep(0.005)

    async def run(self, pipe: Connection) -> int:
        """Until nobody asks any more."""
        over = asyncio.Event()

        def asked() -> None:
            if not answer(pipe, self):
                over.set()

        asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
        await over.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return 0


def _main(pipe: Connection) -> None:
    logging.disable()  # thousands of agents would tell of the same outage
    process.run(Swarm().run(pipe))


def child(name: str) -> Child:
    """A process of agents."""
    return Child(name, _main)
