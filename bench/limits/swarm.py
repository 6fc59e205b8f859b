"""Many agents in one process, each as `aditus connect` makes it, with a link and a back-off of its own."""

import asyncio
import logging
import os
import ssl
import time
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
from bench.programs import Broken

ATTACH_SECONDS = 180.0
LOOK_EVERY = 0.3
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

    def attached(self, after: float = 0.0) -> list[float]:
        """Since when each agent is attached that is so since a moment after `after` (Unix seconds)."""
        return _attached(self._agents, after)

    def _spawn(self, work: Coroutine[None, None, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

    async def _start(self, trust: ssl.SSLContext, members: Sequence[Member]) -> None:
        for first in range(0, len(members), AT_ONCE):
            began = len(self._agents)
            for member in members[first : first + AT_ONCE]:
                signer = KeySigner(parse_access_key(member.secret))
                settings = AgentSettings(
                    (ConnectUrl.parse(member.url),), parse_specs([member.spec]), infinite_retries=True
                )
                agent = Agent(settings, signer, trust, self._resources)
                self._agents.append(agent)
                self._spawn(agent.run())
            while len(_attached(self._agents[began:])) < len(self._agents) - began:  # noqa: ASYNC110  no event tells of all
                await asyncio.sleep(0.005)

    async def run(self, pipe: Connection) -> int:
        """Until nobody asks any more."""
        over = asyncio.Event()

        def asked() -> None:
            if not answer(pipe, self):
                over.set()

        asyncio.get_running_loop().add_reader(pipe.fileno(), asked)
        os.set_blocking(pipe.fileno(), True)  # uvloop made it otherwise, and a request may come in pieces
        await over.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return 0


def _attached(agents: Sequence[Agent], after: float = 0.0) -> list[float]:
    rows = [agent.rows()[0] for agent in agents]
    return [row.since for row in rows if row.state == "attached" and row.since > after]


def _main(pipe: Connection) -> None:
    logging.disable()  # thousands of agents would tell of the same outage
    process.run(Swarm().run(pipe))


def child(name: str) -> Child:
    """A process of agents."""
    return Child(name, _main)


def wait_attached(swarms: Sequence[Child], count: int) -> None:
    """Wait until so many agents are attached. Raises `Broken`."""
    there = len(attached(swarms, count))
    if there < count:
        raise Broken(f"after {ATTACH_SECONDS:.0f} s only {there} of {count} agents are attached")


def attached(swarms: Sequence[Child], count: int, after: float = 0.0) -> list[float]:
    """Wait until so many are attached since after `after`, for `ATTACH_SECONDS` at most: since when."""
    until = time.monotonic() + ATTACH_SECONDS
    while True:
        since: list[float] = [moment for one in swarms for moment in one.ask("attached", after)]
        if len(since) == count or time.monotonic() > until:
            return since
        time.sleep(LOOK_EVERY)
