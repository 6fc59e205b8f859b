"""Several agents with one key, under load, one of them killed: what apps notice of it."""

import asyncio
import time
from contextlib import ExitStack

from tests.ends import LOOPBACK, Conversation, Echo, free_port
from tests.ends import until as soon_true
from tests.process.apps import Load
from tests.process.programs import Server, until

AGENTS = 3
EACH = 8
"""Streams that stay, for each agent."""
AFTERWARDS = 100
"""New connections that must be served after the kill."""


async def test_kill_9_of_one_agent_costs_its_own_streams_and_new_ones_go_elsewhere_at_once(
    server: Server,
) -> None:
    key, port = await asyncio.to_thread(server.generate, "spare"), free_port()
    async with Echo() as echo:
        with ExitStack() as stack:
            agents = [
                stack.enter_context(server.agent(key, f"{port}:{LOOPBACK}:{echo.port}"))
                for _ in range(AGENTS)
            ]
            await asyncio.to_thread(
                until, lambda: server.attached().count("spare") == AGENTS, "all agents attached"
            )
            load = Load(port)
            staying = []
            for _ in range(AGENTS * EACH):
                app = await Conversation.connect(port)
                staying.append(asyncio.create_task(load.stay(app)))
            await asyncio.to_thread(until, lambda: _streams(server) == [EACH] * AGENTS, "an equal share each")
            visitors = asyncio.create_task(load.come_and_go())
            await soon_true(lambda: load.done >= AFTERWARDS, "new connections before the kill")
            assert not load.failed

            killed_at, before = time.monotonic(), load.done
            await asyncio.to_thread(agents[0].kill)
            await soon_true(lambda: load.done >= before + AFTERWARDS, "new connections after the kill")
            await soon_true(lambda: len(load.ends) == EACH, "the end of its streams")
            assert all(was_reset for _, was_reset in load.ends)
            visitors.cancel()
            await asyncio.gather(visitors, return_exceptions=True)
            await asyncio.to_thread(until, lambda: _streams(server) == [EACH] * (AGENTS - 1), "theirs alone")

            # What had been opened to it, and was not answered, is lost with it: no open is tried twice.
            knew_at = min(at for at, _ in load.ends)
            assert all(began < knew_at for began, _ in load.failed), (load.failed, knew_at)
            print(  # noqa: T201
                f"\n{EACH} of {AGENTS * EACH} streams reset {knew_at - killed_at:.3f} s after the kill at the"
                f" soonest; {len(load.failed)} of {load.done} new connections failed"
            )
            for task in staying:
                task.cancel()
            await asyncio.gather(*staying, return_exceptions=True)


def _streams(server: Server) -> list[int]:
    """The open streams of each of the test's tunnels."""
    with server.client() as client:
        return [tunnel.streams for tunnel in client.tunnels() if tunnel.access_key_id == "spare"]
