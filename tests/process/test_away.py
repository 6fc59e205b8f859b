"""A relay that is gone, and all its agents: they come back spread out, and all of them, whenever it is back.

The agents are real, in two processes; each of their dials is one connection that a forwarder before the
relay accepts, which is always there.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from bench.limits import swarm
from bench.limits.child import Child
from bench.limits.swarm import Member
from tests.conftest import FULL
from tests.ends import LOOPBACK
from tests.ends import free_port as unused_port
from tests.process.programs import Server

AGENTS = 2_000 if FULL else 400
PER_KEY = 20
SWARMS = 2
BACK_SECONDS = 60.0
"""From the kill until the last agent is attached again."""


class Forwarder:
    """Stands before a relay and counts who dials it. Who comes while the relay is away is hung up on."""

    def __init__(self, relay_port: int) -> None:
        self.port = unused_port()
        self.dials: list[float] = []
        """When each came, by the monotonic clock."""
        self._relay_port = relay_port
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()
        self.ends: set[asyncio.Transport] = set()

    async def __aenter__(self) -> "Forwarder":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Knocking(self), LOOPBACK, self.port, backlog=4_096)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for end in list(self.ends):
            end.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def knocked(self, agent: "_Knocking") -> None:
        self.dials.append(time.monotonic())
        task = asyncio.create_task(self._lead_on(agent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead_on(self, agent: "_Knocking") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _End(self, agent), LOOPBACK, self._relay_port)
        except OSError:
            agent.hang_up()


class _End(asyncio.Protocol):
    """One end of what is forwarded. What comes before the other one is there waits."""

    def __init__(self, forwarder: Forwarder, other: "_End | None" = None) -> None:
        self._forwarder = forwarder
        self._other = other
        self._waiting: list[bytes] = []
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._forwarder.ends.add(transport)
        if self._other is not None:
            self._other.joined(self)

    def joined(self, other: "_End") -> None:
        self._other = other
        if self._transport is None or self._transport.is_closing():
            other.hang_up()
            return
        for data in self._waiting:
            other.write(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._waiting.append(data)
        else:
            self._other.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._forwarder.ends.discard(self._transport)
        if self._other is not None:
            self._other.hang_up()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Knocking(_End):
    """The agent's end."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._forwarder.knocked(self)


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """What `multiprocessing` starts beside the first process that it spawns, and keeps, is no test's leak."""
    resource_tracker.ensure_running()


@contextmanager
def agents(server: Server, count: int) -> Iterator[list[Child]]:
    """So many agents in processes of their own, attached."""
    members = []
    with server.client() as client:
        for number in range(count // PER_KEY):
            new = client.generate_key(f"key-{number:03}", "integration")
            assert new.secret is not None
            spec = f"{unused_port()}:{LOOPBACK}:9"  # nobody asks for the target
            members += [Member(new.secret.reveal(), new.key.connect_url, spec)] * PER_KEY
    with ExitStack() as stack:
        swarms = [stack.enter_context(swarm.child(f"swarm {number}")) for number in range(SWARMS)]
        for number, one in enumerate(swarms):
            one.ask("start", str(server.ca_file), members[number::SWARMS])
        swarm.wait_attached(swarms, count)
        yield swarms


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("away", [0.0, 4.0], ids=["started again at once", "away for 4 s"])
async def test_after_kill_9_of_the_relay_no_second_has_many_more_dials_than_others(
    tmp_path: Path, away: float
) -> None:
    server = Server(tmp_path / "data")
    async with Forwarder(server.relay_port) as forwarder:
        server.words = ("--public-url", f"wss://localhost:{forwarder.port}")
        server.launch()
        killed_at, since = await asyncio.to_thread(_kill_and_count, server, forwarder, away)
    back = sorted(moment - killed_at[1] for moment in since)
    assert len(back) == AGENTS
    assert back[-1] <= BACK_SECONDS

    seconds = Counter(int(at - killed_at[0]) for at in forwarder.dials if at >= killed_at[0])
    first, dials = sum(seconds[second] for second in range(5)), seconds.total()
    busiest = max(seconds[second] for second in range(5))
    later = max(count for second, count in seconds.items() if second >= 5)
    print(  # noqa: T201
        f"\n{AGENTS} agents, relay away for {away:g} s: {dials} dials, the busiest of the first 5 seconds had"
        f" {busiest / first:.1%} of theirs, the busiest later one {later / dials:.1%} of all;"
        f" half were back after {back[len(back) // 2]:.1f} s, the last after {back[-1]:.1f} s"
    )
    if (
        FULL
    ):  # fewer say nothing, and a machine that does other work bunches them; tests/net/test_link.py does
        assert busiest <= 0.25 * first, sorted(seconds.items())
        assert later <= 0.15 * dials, sorted(seconds.items())


def _kill_and_count(
    server: Server, forwarder: Forwarder, away: float
) -> tuple[tuple[float, float], list[float]]:
    """When the relay was killed, by the monotonic clock and by the other; and when each agent was back."""
    try:
        server.wait()
        with agents(server, AGENTS) as swarms:
            killed_at = time.monotonic(), time.time()
            server.kill()
            time.sleep(away)  # as long as the outage is meant to be: this is no synchronisation
            server.start()
            return killed_at, swarm.attached(swarms, AGENTS, killed_at[1])
    finally:
        server.kill()
