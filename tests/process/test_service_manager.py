"""Programs that a service manager started, as systemd does: by what it hears from them."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from demo.stage import aditus
from tests.process.programs import LOOPBACK, PATIENCE, Key, Program, Server, Service

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a program in several seconds


class Manager:
    """Listens at `path`, and waits for what it is told."""

    def __init__(self, path: Path) -> None:
        self.env = {"NOTIFY_SOCKET": str(path)}
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(str(path))
        self._sock.settimeout(PATIENCE)

    def heard(self) -> str:
        return self._sock.recv(4096).decode()

    def wait(self, text: str) -> str:
        """The first word with this in it; the others are passed over."""
        while text not in (heard := self.heard()):
            pass
        return heard

    def was_told_nothing(self) -> bool:
        self._sock.setblocking(False)
        try:
            self._sock.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._sock.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def test_an_agent_is_ready_at_once_and_shows_when_it_is_attached(server: Server, manager: Manager) -> None:
    key = server.generate("managed")
    with (
        Service() as service,
        Program(server.agent_command(key, service.spec), key.env | manager.env) as agent,
    ):
        assert {manager.heard(), manager.heard()} == {
            "READY=1",
            f"STATUS=connecting: localhost:{server.relay_port}",
        }
        assert manager.heard() == f"STATUS=attached to localhost:{server.relay_port}, 1 port"
        assert agent.end(signal.SIGTERM) == 0
        assert manager.heard() == "STOPPING=1"


def test_an_agent_whose_relay_is_away_is_ready_and_says_what_it_waits_for(
    server: Server, manager: Manager, tmp_path: Path
) -> None:
    key = server.generate("waiting")
    with socket.socket() as nobody:  # bound, and listening to nobody
        nobody.bind((LOOPBACK, 0))
        url = f"wss://localhost:{nobody.getsockname()[1]}/connect"
        command = server.agent_command(Key("waiting", url, key.secret), f"25432:{LOOPBACK}:5432")
        with Program(command, key.env | manager.env) as agent:
            manager.wait("READY=1")
            assert manager.wait("waiting").startswith(f"STATUS=waiting: localhost:{nobody.getsockname()[1]} ")
            assert agent.end(signal.SIGTERM) == 0


def test_an_agent_that_is_refused_leaves_behind_why(server: Server, manager: Manager) -> None:
    key = server.generate("refused")
    with (
        Service() as service,
        Program(server.agent_command(key, service.spec), key.env | manager.env) as agent,
    ):
        manager.wait("attached")
        server.revoke(key)
        assert manager.wait("The access key was revoked.").startswith("STATUS=stopped: ")
        assert agent.end() == 3


def test_one_that_cannot_start_never_says_that_it_is_ready(manager: Manager) -> None:
    with Program(aditus("connect", "-s", "db:port", "wss://localhost/connect"), manager.env) as agent:
        assert agent.end() == 2
    assert manager.was_told_nothing()


def test_a_server_is_ready_when_it_listens_and_says_when_it_drains(
    data_folder: Callable[[], Path], manager: Manager
) -> None:
    server = Server(data_folder())
    with Program(server.command, manager.env) as program:
        manager.wait("READY=1")
        for port in (server.api_port, server.relay_port):
            socket.create_connection((LOOPBACK, port), PATIENCE).close()
        assert manager.heard() == (
            f"STATUS=serving: relay wss://localhost:{server.relay_port}, API {server.api_url}"
        )
        program.send(signal.SIGTERM)
        assert manager.heard() == "STOPPING=1"
        assert program.end() == 0
