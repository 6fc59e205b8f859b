"""kill -9 of the sidecar, the server and the agent, with bytes under way: nothing hangs, all comes back.

Streams are cut with a reset, never with a clean end, so that no half of an answer passes for the whole.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.process.programs import (
    LOOPBACK,
    PATIENCE,
    App,
    Key,
    Program,
    Server,
    Service,
    exactly,
    is_reset,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

BUSY = 4
"""Streams that carry as much as they can, both ways; beside them, as many that only wait."""
PIECE = bytes(65_536)


class Busy:
    """Says all that it can on one socket, and hears what comes, until that socket is reset or closed."""

    def __init__(self, sock: socket.socket) -> None:
        self.carried = 0
        self.ended: list[BaseException | None] = []
        """How each of both directions ended; None: cleanly."""
        self._sock = sock
        steps = (self._say, self._hear)
        self._threads = [threading.Thread(target=self._until_end, args=(step,)) for step in steps]
        for thread in self._threads:
            thread.start()

    def _say(self) -> bool:
        self._sock.sendall(PIECE)
        return True

    def _hear(self) -> bool:
        heard = len(self._sock.recv(262_144))
        self.carried += heard
        return heard > 0

    def _until_end(self, step: Callable[[], bool]) -> None:
        try:
            while step():
                pass
            self.ended.append(None)
        except OSError as error:
            self.ended.append(error)

    def is_reset(self) -> bool:
        """Wait for the end of both directions: whether it was a reset, which the kernel tells one of them."""
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a direction of a stream hangs"
        return any(isinstance(end, ConnectionResetError) for end in self.ended)

    def close(self) -> None:
        with suppress(OSError):  # it is over already
            self._sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


@dataclass
class Way:
    """From apps over a sidecar, a server and an agent to a service, with streams on it."""

    server: Server
    service: Service
    key: Key
    app: App
    sidecar: Program
    agent: Program
    stack: ExitStack
    busy: list[tuple[Busy, Busy]] = field(default_factory=list)
    idle: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)

    def load(self) -> None:
        """Open the streams, and wait until bytes flow in all of them."""
        for _ in range(BUSY):
            app, there = self.service.conversation()
            pair = Busy(app), Busy(there)
            for one in pair:
                self.stack.callback(one.close)
            self.busy.append(pair)
        for _ in range(BUSY):
            app, there = self.service.conversation()
            app.sendall(b"hello")
            assert exactly(there, 5) == b"hello"
            self.idle.append((app, there))
        until(self.all_flow, "bytes flow both ways")

    def all_flow(self) -> bool:
        return all(one.carried > 4 * len(PIECE) for pair in self.busy for one in pair)

    def apps_are_reset(self) -> bool:
        return all(app.is_reset() for app, _ in self.busy) and all(is_reset(app) for app, _ in self.idle)

    def services_are_reset(self) -> bool:
        return all(there.is_reset() for _, there in self.busy) and all(
            is_reset(there) for _, there in self.idle
        )

    def streams(self) -> int:
        with self.server.client() as client:
            return sum(tunnel.streams for tunnel in client.tunnels())

    def carries(self) -> bool:
        """Whether a new connection of an app reaches the service and comes back."""
        app, there = self.service.conversation()
        app.sendall(b"again")
        assert exactly(there, 5) == b"again"
        there.sendall(b"and back")
        return exactly(app, 8) == b"and back"

    def is_open(self) -> bool:
        """Whether somebody listens at the local port."""
        with socket.socket() as sock:
            return sock.connect_ex((LOOPBACK, self.service.app_port)) == 0


@contextmanager
def loaded(data: Path) -> Iterator[Way]:
    with ExitStack() as stack:
        server = stack.enter_context(Server(data, "--app-listen", "off"))
        key = server.generate("plant-1")
        app = server.app("shop", key)
        service = stack.enter_context(Service())
        agent = stack.enter_context(server.agent(key, service.spec))
        sidecar = stack.enter_context(server.sidecar(app))
        sidecar.err.wait("listening")
        way = Way(server, service, key, app, sidecar, agent, stack)
        way.load()
        yield way


def test_kill_9_of_the_sidecar(tmp_path: Path) -> None:
    with loaded(tmp_path / "data") as way:
        began = time.monotonic()
        way.sidecar.kill()
        assert way.apps_are_reset()
        assert way.services_are_reset()
        until(lambda: way.streams() == 0, "the relay has let go of the streams")
        took = time.monotonic() - began
        print(f"all ends of a killed sidecar's streams knew after {took:.2f} s")  # noqa: T201
        with way.server.client() as client:
            until(lambda: not client.app_status("shop").sidecars, "the relay has let go of the sidecar")
        assert not way.is_open()
        with way.server.sidecar(way.app) as sidecar:  # the next one has its ports at once
            sidecar.err.wait("listening")
            assert way.carries()


def test_kill_9_of_the_server(tmp_path: Path) -> None:
    with loaded(tmp_path / "data") as way:
        said = len(way.sidecar.err.lines)
        way.server.kill()
        assert way.apps_are_reset()
        assert way.services_are_reset()
        until(lambda: not way.is_open(), "the local port is closed: who comes is refused at once")
        assert way.sidecar.is_running
        assert way.agent.is_running
        way.server.start()
        way.sidecar.err.wait("listening", after=said)
        assert way.carries()


def test_kill_9_of_the_agent(tmp_path: Path) -> None:
    with loaded(tmp_path / "data") as way:
        said = len(way.sidecar.err.lines)
        way.agent.kill()
        assert way.apps_are_reset()
        assert way.services_are_reset()
        assert "reason=agent-lost" in way.sidecar.err.wait("reset an app's connection", after=said)
        until(lambda: not way.is_open(), "the local port is closed: who comes is refused at once")
        with way.server.agent(way.key, way.service.spec):
            way.sidecar.err.wait("listening", after=said)
            assert way.carries()
