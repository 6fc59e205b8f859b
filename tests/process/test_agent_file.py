"""agent.toml as people use it: a running agent follows it, and a mistake in it costs nothing."""

import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from demo.postgres import free_port
from demo.stage import aditus
from tests.process.programs import LOOPBACK, Key, Program, Server, Service, exactly, get, run, until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="it signals by SIGHUP"),
]


def written(path: Path, key: Key, *specs: str) -> Path:
    """agent.toml with these specs, replaced in one step, as editors do; the key is beside it."""
    (path.parent / "key").touch(0o600)
    (path.parent / "key").write_text(key.secret.reveal())
    new = path.with_suffix(".new")
    listed = ", ".join(f'"{spec}"' for spec in specs)
    new.write_text(f'access-key-file = "key"\nconnect-urls = ["{key.url}"]\nspecs = [{listed}]\n')
    new.replace(path)
    return path


@pytest.mark.parametrize("by_signal", [True, False], ids=["SIGHUP", "a change of the file"])
def test_specs_come_and_go_with_the_file(server: Server, tmp_path: Path, by_signal: bool) -> None:
    key = server.generate(f"file-{by_signal}")
    with Service() as first, Service() as second:
        file = written(tmp_path / "agent.toml", key, first.spec)
        health = free_port()
        words = (
            "--config",
            str(file),
            "--ca-file",
            str(server.ca_file),
            "--health-listen",
            f"{LOOPBACK}:{health}",
        )
        with Program(aditus("connect", *words)) as agent:
            agent.err.wait("attached")
            app, service = first.conversation()
            if by_signal:  # the file keeps its time, so that nothing but the signal tells
                before = file.stat()
                written(file, key, first.spec, second.spec)
                os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
                agent.send(signal.SIGHUP)
            else:
                written(file, key, first.spec, second.spec)
            agent.err.wait("the specs have changed")
            until(
                lambda: str(second.app_port) in get(f"http://{LOOPBACK}:{health}/metrics")[1], "it is offered"
            )
            until(lambda: is_open(second.app_port), "it is served")
            app.sendall(b"no break")
            assert exactly(service, 8) == b"no break"

            file.write_text("specs = [")
            agent.send(signal.SIGHUP)
            agent.err.wait("nothing is changed")
            app.sendall(b"no break")
            assert exactly(service, 8) == b"no break"
            assert agent.end(signal.SIGTERM) == 0


def is_open(port: int) -> bool:
    """Whether a listener answers there."""
    with socket.socket() as sock:
        return sock.connect_ex((LOOPBACK, port)) == 0


def test_without_a_file_a_hang_up_ends_the_agent(server: Server) -> None:
    key = server.generate("hung-up")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        assert agent.end(signal.SIGHUP) == -signal.SIGHUP


def test_a_window_that_is_closed_ends_the_agent_though_it_follows_a_file(
    server: Server, tmp_path: Path
) -> None:
    key = server.generate("window")
    with Service() as service:
        file = written(tmp_path / "agent.toml", key, service.spec)
        words = ("--config", str(file), "--ca-file", str(server.ca_file), "--health-listen", "off")
        with Program(aditus("connect", *words), terminal=True) as agent:
            until(lambda: "attached" in agent.out.text, "it is attached")
            assert agent.end(signal.SIGHUP) == -signal.SIGHUP


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    ended = run("connect", "--config", str(tmp_path / "agent.toml"))
    assert ended.code == 2
    assert "there is no file" in ended.err
