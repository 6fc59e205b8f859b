"""Many sidecars at one relay, which is a process of its own: what they cost it, and how soon all are told."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from aditus.crypto.proof import KeySigner
from aditus.domain.connect_url import parse_relay_url
from aditus.domain.keytext import parse_app_secret
from aditus.net import tls
from aditus.net.mux import Resources
from aditus.sidecar.settings import SidecarSettings
from aditus.sidecar.sidecar import Sidecar
from tests.conftest import FULL
from tests.ends import LOOPBACK, free_port, on_linux
from tests.process.programs import App, Program, Server

SIDECARS = 1_000 if FULL else 200
APPS = 10
AT_ONCE = 20
"""Sidecars that are started together: strangers have few places at the door."""
TOLD_SECONDS = 10.0
"""Within which all must have been told of a change; how long it takes is printed."""
MAX_KIB = 150
"""Of the relay's memory, for each."""

PROBE = """
import socket, sys, time
app_port, port = map(int, sys.argv[1:])
listener = socket.create_server(("127.0.0.1", port))
app = socket.create_connection(("127.0.0.1", app_port), 30)
service, _ = listener.accept()
print("goes", file=sys.stderr, flush=True)
took = []
try:
    while True:
        began = time.monotonic()
        app.sendall(b"x"), service.recv(1), service.sendall(b"y")
        if not app.recv(1):
            break
        took.append(time.monotonic() - began)
        time.sleep(0.002)
except OSError:
    took.sort()
    median, most = (1000 * one for one in (took[len(took) // 2], took[-1]))
    print(f"{len(took)} requests took {median:.1f} ms (median) to {most:.0f} ms (most)", file=sys.stderr)
"""
"""An app and its service: how long requests take between them, until the way is cut."""


def resident_kib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


class Many:
    """So many sidecars, as programs without their process, of each app the same number."""

    def __init__(self, server: Server, apps: Sequence[App], tasks: asyncio.TaskGroup) -> None:
        relay = parse_relay_url(f"wss://localhost:{server.relay_port}")
        trust, resources = tls.client_context(server.ca_file), Resources()
        self.of: dict[str, list[Sidecar]] = {app.name: [] for app in apps}
        for number in range(SIDECARS):
            app = apps[number % APPS]
            settings = SidecarSettings(app.name, (relay,), listen=None)
            signer = KeySigner(parse_app_secret(app.secret.reveal()))
            self.of[app.name].append(Sidecar(settings, signer, trust, resources))
        self.all = [sidecar for of_app in self.of.values() for sidecar in of_app]
        self._group = tasks
        self._tasks: list[asyncio.Task[object]] = []

    async def start(self) -> None:
        for first in range(0, SIDECARS, AT_ONCE):
            batch = self.all[first : first + AT_ONCE]
            self._tasks += [self._group.create_task(sidecar.run()) for sidecar in batch]
            await _when(lambda some=batch: all(one.is_up for one in some))  # type: ignore[misc]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def told(self, sidecars: Sequence[Sidecar], *ports: int) -> None:
        """Wait until all of these know that they reach these app ports, and no others."""
        async with asyncio.timeout(TOLD_SECONDS):
            await _when(lambda: all(tuple(sidecar.ports) == ports for sidecar in sidecars))


async def _when(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  nothing tells of all of them
        await asyncio.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(300)
@on_linux
async def test_all_are_told_soon_of_what_comes_and_goes(tmp_path: Path) -> None:
    figures: list[str] = []
    with ExitStack() as stack:
        server = stack.enter_context(Server(tmp_path / "data", "--app-listen", "off"))
        probe = stack.enter_context(probing(server))
        key = server.generate("plant-1")
        apps = [server.app(f"app-{number}", key) for number in range(APPS)]
        port = free_port()
        client = stack.enter_context(server.client())
        async with asyncio.TaskGroup() as tasks:
            many = Many(server, apps, tasks)
            before, began = resident_kib(server.program.pid), time.monotonic()
            await many.start()
            kib = (resident_kib(server.program.pid) - before) / SIDECARS
            figures.append(f"attached within {time.monotonic() - began:.1f} s, {kib:.0f} KiB each")

            async def all_told(what: str, *ports: int, since: float | None = None) -> None:
                began = time.monotonic() if since is None else since
                await many.told(many.all, *ports)
                figures.append(f"{what}: all knew after {time.monotonic() - began:.2f} s")

            agent = stack.enter_context(server.agent(key, f"{port}:{LOOPBACK}:9"))
            await asyncio.to_thread(agent.err.wait, "attached")
            await all_told("an agent came", port)
            began = time.monotonic()
            await asyncio.to_thread(agent.kill)
            await all_told("it was killed", since=began)
            agent = stack.enter_context(server.agent(key, f"{port}:{LOOPBACK}:9"))
            await asyncio.to_thread(agent.err.wait, "attached")
            await all_told("another one came", port)

            one, *others = apps
            began = time.monotonic()
            await asyncio.to_thread(client.dissociate, one.name)
            await many.told(many.of[one.name])
            figures.append(f"an app was dissociated: its own knew after {time.monotonic() - began:.2f} s")
            for other in others:
                await many.told(many.of[other.name], port)
            began = time.monotonic()
            await asyncio.to_thread(client.associate, one.name, key.access_key_id)
            await all_told("that app was associated again", port, since=began)
            began = time.monotonic()
            for app in apps:
                await asyncio.to_thread(client.dissociate, app.name)
            await all_told(f"{APPS} apps were dissociated one by one", since=began)
            views = [await asyncio.to_thread(client.app_status, app.name) for app in apps]
            assert sum(view.sidecars for view in views) == SIDECARS
            await many.stop()
        client.revoke_keys(["steady"])
        figures.append(f"meanwhile, of another app, {probe.err.wait('requests')}")
    print(f"\n{SIDECARS} sidecars of {APPS} apps", *figures, sep="\n  ")  # noqa: T201
    assert kib <= MAX_KIB


@contextmanager
def probing(server: Server) -> Iterator[Program]:
    """Requests of an app whose key is called `steady` go on beside the block, until that key is revoked."""
    key = server.generate("steady")
    app_port, service = free_port(), free_port()
    with (
        server.agent(key, f"{app_port}:{LOOPBACK}:{service}"),
        server.sidecar(server.app("steady", key)) as sidecar,
    ):
        sidecar.err.wait("listening")
        with Program([sys.executable, "-c", PROBE, str(app_port), str(service)]) as probe:
            probe.err.wait("goes")
            yield probe
