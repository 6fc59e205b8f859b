"""Two `aditus serve` behind a real HAProxy, set up as docs/operations.md says, restarted in turn."""

import asyncio
import re
import signal
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from aditus.client.rest import Client
from aditus.crypto import devca
from demo.postgres import PostgresServer
from demo.stage import aditus
from tests.databases import postgres
from tests.ends import LOOPBACK, Conversation, Echo
from tests.ends import free_port as unused_port
from tests.middleboxes import Middlebox
from tests.process.apps import PER_SECOND, Load
from tests.process.programs import CAPABILITY, Key, Program, Server, together, until

__all__ = ["postgres"]

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
SECOND_HOST = "127.0.0.2"
STREAMS = 10
GRACE_SECONDS = 10.0
EARLY = 0.5
"""Seconds that a grace may seem shorter, as it begins a moment before or after our signal."""


class Documented(Middlebox):
    """HAProxy with the configuration of the page, with addresses and ports of this machine in their place."""

    program = "haproxy"

    def __init__(self, servers: "tuple[Server, Server]", relay_port: int, app_port: int) -> None:
        super().__init__(relay_port)
        [text] = re.findall(r"```haproxy\n(.*?)```", DOCS.read_text(), re.S)
        text = text.replace("bind :443", f"bind {LOOPBACK}:{relay_port}")
        text = text.replace("bind :5432", f"bind {LOOPBACK}:{app_port}").replace(" check port 8080", "")
        for number, host in enumerate((LOOPBACK, SECOND_HOST)):
            server, there = servers[number], f"10.0.0.{number + 1}"
            check = f" check addr {LOOPBACK} port {server.api_port}"
            text = text.replace(f"{there}:443", f"{LOOPBACK}:{server.relay_port}{check}")
            text = text.replace(f"{there}:5432", f"{host}:{app_port + 1}{check}")
        assert "10.0.0." not in text
        self._text = text

    def command(self, folder: Path) -> list[str]:
        self._socket = folder / "socket"
        (folder / "haproxy.cfg").write_text(f"global\n  stats socket {self._socket} mode 600\n{self._text}")
        return ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")]

    def shows_up(self) -> bool:
        """Whether both servers are up, as its operator sees them."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(self._socket))
            asked.sendall(b"show stat\n")
            rows = b"".join(iter(lambda: asked.recv(65_536), b"")).decode().splitlines()
        states = [row.split(",")[17] for row in rows if row.split(",")[1:2] in (["one"], ["two"])]
        return states == ["UP"] * 4


@dataclass
class Site:
    """Both servers, what stands before them, and the agents' programs."""

    servers: tuple[Server, Server]
    balancer: Documented
    app_port: int
    key: Key
    ca_file: Path
    token: str

    def tunnels(self) -> list[int]:
        """How many tunnels each server has."""
        found = []
        for server in self.servers:
            with Client(server.api_url, self.token) as client:
                found.append(len([tunnel for tunnel in client.tunnels() if tunnel.ports]))
        return found

    def agent(self, target: int) -> Program:
        spec = f"{self.app_port + 1}:{LOOPBACK}:{target}"
        words = ("--ca-file", str(self.ca_file), "--health-listen", "off", "-s", spec, self.key.url)
        return Program(aditus("connect", *words), self.key.env)


@contextmanager
def behind_haproxy(folder: Path, postgres: PostgresServer) -> Iterator[Site]:
    files = devca.ensure(folder, [], time.time())
    url_file = folder / "url"
    url_file.write_text(postgres.create_database(f"handover_{uuid.uuid4().hex}"))
    relay_port, app_port = unused_port(), _two_ports()
    servers = Server(folder / "one"), Server(folder / "two")
    for server, host in zip(servers, (LOOPBACK, SECOND_HOST), strict=True):
        server.words = (
            *("--database-url-file", str(url_file), "--public-url", f"wss://localhost:{relay_port}"),
            *("--public-url", f"wss://localhost:{server.relay_port}"),  # a name of its own, for sidecars
            *("--tls-cert", str(files.certificate), "--tls-key", str(files.key), "--app-listen", host),
        )
    with ExitStack() as stack:
        stack.enter_context(together(*servers))
        balancer = stack.enter_context(Documented(servers, relay_port, app_port))
        until(balancer.shows_up, "HAProxy shows both servers as up")
        [token] = [server.token for server in servers if (server.data / "owner.token").exists()]
        with Client(servers[0].api_url, token) as client:
            key = Key.of(client.generate_key("plant-1", CAPABILITY))
        yield Site(servers, balancer, app_port, key, files.ca, token)


def _two_ports() -> int:
    """A free port, the next one of which is free too."""
    while True:
        port = unused_port()
        with socket.socket() as sock:
            try:
                sock.bind((LOOPBACK, port + 1))
            except OSError:
                continue
            return port


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.needs("haproxy")
@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
@pytest.mark.parametrize("agents", [1, 2])
async def test_servers_restarted_in_turn_lose_no_stream_before_its_grace_ends_and_no_new_connection(
    tmp_path: Path, postgres: PostgresServer, agents: int
) -> None:
    async with Echo() as echo:
        with ExitStack() as stack:
            site = await asyncio.to_thread(stack.enter_context, behind_haproxy(tmp_path, postgres))
            for number in range(1, agents + 1):
                stack.enter_context(site.agent(echo.port))
                await asyncio.to_thread(until, lambda: sum(site.tunnels()) == number, "the agent attached")  # noqa: B023
            if agents == 2:  # as `balance leastconn` has it
                assert site.tunnels() == [1, 1]
            load = Load(site.app_port)
            asked_at: list[float] = []
            visitors = asyncio.create_task(load.come_and_go())
            staying: list[asyncio.Task[None]] = []
            # First the server where the only agent is: the restart of the other one would be no test.
            first = site.tunnels().index(1)
            for server in (site.servers[first], site.servers[1 - first]):
                for _ in range(STREAMS):
                    app = await Conversation.connect(site.app_port)
                    staying.append(asyncio.create_task(load.stay(app)))
                asked_at.append(time.monotonic())
                assert await asyncio.to_thread(server.program.end, signal.SIGTERM) == 0
                await asyncio.to_thread(server.start)
                await asyncio.to_thread(until, site.balancer.shows_up, "HAProxy shows both servers as up")
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
    assert len(load.failed) <= 0.001 * load.done, [(at - asked_at[0], error) for at, error in load.failed]
    assert min(after) >= GRACE_SECONDS - EARLY
