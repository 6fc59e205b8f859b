"""What the service manager is told: by a real datagram socket, in both forms of its name."""

import asyncio
import contextlib
import logging
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.telemetry.status import LinkRow, in_words
from aditus.wiring import systemd

Manager = socket.socket


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    """A service manager that waits for a word of us."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@aditus-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(10)
        monkeypatch.setenv(systemd.VARIABLE, name)
        yield sock


def filled() -> None:
    """Nobody reads: until there is no room left."""
    while systemd.tell("STATUS=again"):
        pass


def test_it_hears_that_a_program_is_ready_and_that_it_stops(manager: Manager) -> None:
    systemd.ready()
    systemd.stopping()
    assert [manager.recv(4096), manager.recv(4096)] == [b"READY=1", b"STOPPING=1"]


async def test_it_hears_each_status_once_in_one_line(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = ["waiting:\n relay.example.com", "waiting:\n relay.example.com", "attached", "x" * 10_000]
    monkeypatch.setattr(systemd, "STATUS_SECONDS", 0.0)
    looked = asyncio.Event()

    def status() -> str:
        if len(says) == 1:
            looked.set()
            return says[0]
        return says.pop(0)

    showing = asyncio.create_task(systemd.show(status))
    await looked.wait()
    await asyncio.sleep(0)  # what was looked at is told in the same turn
    showing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await showing
    told = [manager.recv(65_536).decode() for _ in range(3)]
    assert told == ["STATUS=waiting: relay.example.com", "STATUS=attached", "STATUS=" + "x" * 500]
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


def test_one_that_does_not_listen_holds_nobody_up_and_the_log_says_what_follows(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(systemd, "READY_SECONDS", 0.01)
    filled()
    with caplog.at_level(logging.WARNING):
        systemd.ready()
    assert "does not hear that this program is ready" in caplog.text


def test_a_status_that_was_not_heard_may_be_told_again(manager: Manager) -> None:
    filled()
    assert not systemd.tell("STATUS=attached")
    manager.recv(4096)
    assert systemd.tell("STATUS=attached")


def test_one_that_has_gone_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(systemd.VARIABLE, str(tmp_path / "nobody"))
    assert not systemd.tell("READY=1")


async def test_where_nobody_asked_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(systemd.VARIABLE, raising=False)

    def status() -> str:
        raise AssertionError("nobody wants to know")

    assert systemd.tell("READY=1")
    await systemd.show(status)


def test_where_there_are_no_such_sockets_nothing_is_said(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    assert systemd.tell("READY=1")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


def row(state: str, ports: str = "", note: str = "") -> LinkRow:
    return LinkRow("relay.example.com", state, ports, 0, 0, 0, None, 0.0, note)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("attached", "5432")], "attached to relay.example.com, 1 port"),
        ([row("attached", "5432 6379")], "attached to relay.example.com, 2 ports"),
        (
            [row("attached", "5432 6379(port-taken)")],
            "attached to relay.example.com, 1 of 2 ports",
        ),
        (
            [row("waiting", note="unreachable"), row("connecting")],
            "waiting: relay.example.com unreachable; connecting: relay.example.com",
        ),
    ],
)
def test_the_status_of_an_agent_is_in_words(rows: list[LinkRow], words: str) -> None:
    assert in_words(rows) == words
