"""Two `aditus serve` with one PostgreSQL, restarted in turn: apps that come over a sidecar do not notice."""

import asyncio
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from aditus.client.rest import Client
from demo.postgres import PostgresServer
from demo.stage import aditus
from tests.databases import postgres
from tests.ends import Conversation, Echo
from tests.ends import free_port as unused_port
from tests.process.apps import PER_SECOND, Load
from tests.process.programs import CAPABILITY, Program, until
from tests.process.test_handover import EARLY, GRACE_SECONDS, STREAMS, Site, behind_haproxy

__all__ = ["postgres"]


def start_sidecar(site: Site, local: int, relays: list[str]) -> Program:
    """A sidecar of a new app of the site's key, which dials these relays."""
    with Client(site.servers[0].api_url, site.token) as client:
        client.create_app("shop", CAPABILITY)
        client.associate("shop", site.key.access_key_id)
        secret = client.create_credential("shop").secret
    dialled = [word for relay in relays for word in ("--relay", relay)]
    words = ("--ca-file", str(site.ca_file), "--health-listen", "off", "-p", f"{local}:{site.app_port + 1}")
    return Program(
        aditus("sidecar", "--app", "shop", *dialled, *words), {"ADITUS_APP_SECRET": secret.reveal()}
    )


def sidecars(site: Site) -> list[int]:
    """How many sidecars each server has."""
    found = []
    for server in site.servers:
        with Client(server.api_url, site.token) as client:
            found.append(client.app_status("shop").sidecars)
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.needs("haproxy")
@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
@pytest.mark.parametrize("agents", [1, 2])
async def test_servers_restarted_in_turn_fail_no_new_connection_over_a_sidecar(
    tmp_path: Path, postgres: PostgresServer, agents: int
) -> None:
    async with Echo() as echo:
        with ExitStack() as stack:
            site = await asyncio.to_thread(stack.enter_context, behind_haproxy(tmp_path, postgres))
            for number in range(1, agents + 1):
                stack.enter_context(site.agent(echo.port))
                await asyncio.to_thread(until, lambda: sum(site.tunnels()) == number, "the agent attached")  # noqa: B023
            local = unused_port()
            relays = [f"wss://localhost:{server.relay_port}" for server in site.servers]
            sidecar = stack.enter_context(start_sidecar(site, local, relays))
            await asyncio.to_thread(sidecar.err.wait, "listening")
            await asyncio.to_thread(until, lambda: sidecars(site) == [1, 1], "the sidecar is at both servers")
            load = Load(local)
            asked_at: list[float] = []
            visitors = asyncio.create_task(load.come_and_go())
            staying: list[asyncio.Task[None]] = []
            # First the server where the only agent is: the restart of the other one would be no test.
            first = site.tunnels().index(1)
            for server in (site.servers[first], site.servers[1 - first]):
                for _ in range(STREAMS):
                    app = await Conversation.connect(local)
                    staying.append(asyncio.create_task(load.stay(app)))
                asked_at.append(time.monotonic())
                assert await asyncio.to_thread(server.program.end, signal.SIGTERM) == 0
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(until, site.balancer.shows_up, "HAProxy shows both servers as up")
                # A relay that was away is dialled again some seconds later: all dialers are spread out.
                await asyncio.to_thread(
                    until, lambda: sidecars(site) == [1, 1], "the sidecar is at both again"
                )
            visitors.cancel()
            await asyncio.gather(visitors, return_exceptions=True)
            kept = sum(not task.done() for task in staying)
            for task in staying:
                task.cancel()
            await asyncio.gather(*staying, return_exceptions=True)
    after = [min((cut - asked for asked in asked_at if cut > asked), default=0.0) for cut, _ in load.ends]
    print(  # noqa: T201
        f"\n{agents} agents: {load.done} new connections, the slowest took {load.slowest:.2f} s,"
        f" {len(load.failed)} failed; {len(staying)} streams: {kept} went on, {len(after)} were cut,"
        f" after {min(after):.1f} s of grace at the soonest"
    )
    assert load.done >= 2 * GRACE_SECONDS * PER_SECOND
    assert not load.failed, [(at - asked_at[0], error) for at, error in load.failed]
    assert min(after) >= GRACE_SECONDS - EARLY
