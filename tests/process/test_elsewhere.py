"""A real agent without uvloop, signals on the loop, SIGHUP, resource, fcntl, mallopt, epoll, AF_UNIX."""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.process import elsewhere
from tests.process.programs import Program, Server, Service, exactly, is_reset, until

pytestmark = [
    pytest.mark.timeout(180),  # a busy machine starts a program in several seconds
    pytest.mark.parametrize("loop", ["selector", "proactor"]),
]

SIZE = 3_000_000  # bytes; more than any window and any buffer


def there(loop: str, command: list[str]) -> list[str]:
    """The command line of `aditus`, on that other system."""
    return [sys.executable, str(Path(elsewhere.__file__)), loop, *command[1:]]


def all_of(sock: socket.socket) -> bytes:
    """What comes until the other side has finished."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def test_bytes_pass_both_ways_and_endings_tell_the_truth(server: Server, loop: str) -> None:
    key = server.generate(f"elsewhere-{loop}")
    there_and_back = [os.urandom(SIZE), os.urandom(SIZE)]
    with (
        Service() as service,
        Program(there(loop, server.agent_command(key, service.spec, words=("--debug",))), key.env) as agent,
    ):
        agent.err.wait("attached")
        assert "selector: SelectSelector" in agent.err.text
        app, end = service.conversation()

        def say(sock: socket.socket, said: bytes) -> None:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)

        saying = [
            threading.Thread(target=say, args=pair) for pair in zip((app, end), there_and_back, strict=True)
        ]
        for one in saying:
            one.start()
        heard: list[bytes] = []
        listening = threading.Thread(target=lambda: heard.append(all_of(end)))
        listening.start()
        assert all_of(app) == there_and_back[1]
        for one in (*saying, listening):
            one.join()
        assert heard == [there_and_back[0]]
        # A cut transfer is no clean end.
        app, end = service.conversation()
        end.sendall(b"half of it")
        assert exactly(app, 10) == b"half of it"
        server.revoke(key)
        assert is_reset(app)
        assert is_reset(end)
        assert agent.end() == 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_it_ends_when_it_is_told_to(server: Server, loop: str, number: signal.Signals, code: int) -> None:
    key = server.generate(f"elsewhere-{loop}-{number.name}")
    with (
        Service() as service,
        Program(there(loop, server.agent_command(key, service.spec)), key.env) as agent,
    ):
        agent.err.wait("attached")
        app, _ = service.conversation()
        assert agent.end(number) == code
        assert any(number.name in line for line in agent.err.lines)
        assert is_reset(app)


def test_its_file_is_followed_without_a_signal(server: Server, tmp_path: Path, loop: str) -> None:
    key = server.generate(f"elsewhere-{loop}-file")
    file = tmp_path / "agent.toml"
    with Service() as one, Service() as other:
        file.write_bytes(f'specs = ["{one.spec}"]\r\n'.encode())  # as an editor of Windows ends lines
        command = server.agent_command(key, words=("--config", str(file)))
        with Program(there(loop, command), key.env) as agent:
            agent.err.wait("attached")
            file.write_bytes(f'specs = ["{one.spec}", "{other.spec}"]\r\n'.encode())
            agent.err.wait("the specs have changed")
            until(
                lambda: ports(server, key.access_key_id) == {one.app_port, other.app_port}, "both are offered"
            )
            app, end = other.conversation()
            app.sendall(b"to the new one")
            assert exactly(end, 14) == b"to the new one"


def ports(server: Server, access_key_id: str) -> set[int]:
    """The app ports that agents of this key offer."""
    with server.client() as client:
        tunnels = [tunnel for tunnel in client.tunnels() if tunnel.access_key_id == access_key_id]
    return {port.port for tunnel in tunnels for port in tunnel.ports}
