"""Agent and server work with the rights that their systemd units leave them, and with no others."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.image import ROOT
from tests.process import confined
from tests.process.programs import Program, Server, Service, exactly

pytestmark = [
    pytest.mark.timeout(180),  # a busy machine starts a program in several seconds
    pytest.mark.needs("systemd-analyze"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can take capabilities away"),
]


def unit(name: str) -> Path:
    return ROOT / f"deploy/systemd/aditus-{name}.service"


def within(name: str, command: list[str]) -> list[str]:
    """The command line, confined as this unit is."""
    return [sys.executable, str(confined.__file__), str(unit(name)), *command]


@pytest.mark.parametrize("name", ["agent", "server"])
@pytest.mark.parametrize(
    ("attempt", "why"),
    [
        (f"import socket; socket.socket({int(socket.AF_NETLINK)}, socket.SOCK_RAW)", "PermissionError"),
        ("import os; os.chroot('/tmp')", "PermissionError"),
        ("import os; os.sched_setaffinity(0, {0})", "PermissionError"),
        ("import os; os.open('/dev/null', os.O_RDONLY)", ""),
    ],
)
def test_what_they_do_not_need_is_refused(name: str, attempt: str, why: str) -> None:
    done = subprocess.run(
        within(name, [sys.executable, "-c", attempt]), capture_output=True, text=True, check=False
    )
    assert done.stderr.rpartition("\n")[0].rpartition("\n")[2].partition(":")[0] == why
    assert (done.returncode == 0) is (why == "")


@pytest.mark.slow
def test_both_work_with_what_is_left(data_folder: Callable[[], Path], tmp_path: Path) -> None:
    server = Server(data_folder())
    server.program = Program(within("server", server.command))
    with server.wait().program as program:
        key = server.generate("confined")
        secret = tmp_path / "access-key"
        secret.touch(mode=0o600)
        secret.write_text(key.secret.reveal())
        with Service() as service:
            command = server.agent_command(key, service.spec, words=("--access-key-file", str(secret)))
            with Program(within("agent", command)) as agent:
                agent.err.wait("attached")
                app, end = service.conversation()
                app.sendall(b"within")
                assert exactly(end, 6) == b"within"
                assert agent.end(signal.SIGTERM) == 0
        assert program.end(signal.SIGTERM) == 0
    assert "WARNING" not in agent.err.text
    assert "ERROR" not in agent.err.text + program.err.text
