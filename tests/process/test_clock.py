"""Real agents whose clock is wrong by a day, and is set right while they run: libfaketime tells the time."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.crypto import devca
from tests.process.programs import Program, Server, Service, run, until

pytestmark = pytest.mark.needs("faketime")
DAY = 86_400


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[Server]:
    """A server whose certificate is three days old."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    devca.ensure(data, [], time.time() - 3 * DAY)
    with Server(data) as server:
        yield server


class Clock:
    """What a program takes for the time: `offset` is in seconds, and may change while it runs."""

    def __init__(self, folder: Path, offset: int) -> None:
        self._file = folder / "clock"
        self.set(offset)

    def set(self, offset: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset:+d}")
        new.replace(self._file)

    @property
    def env(self) -> dict[str, str]:
        [library] = Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
        return {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@pytest.mark.parametrize("offset", [-DAY, DAY])
def test_an_agent_attaches_by_the_relays_clock_and_stays_when_its_own_is_set_right(
    aged: Server, tmp_path: Path, offset: int
) -> None:
    key, clock = aged.generate("plant-1"), Clock(tmp_path, offset)
    with Service() as service:
        command = aged.agent_command(key, service.spec)
        with Program(command, key.env | clock.env) as agent:
            agent.err.wait("clock-skew")  # else its clock is right, and nothing is shown
            agent.err.wait("attached")
            app, there = service.conversation()
            app.sendall(b"what day is it")
            assert there.recv(14) == b"what day is it"
            clock.set(0)
            there.sendall(b"today")
            assert app.recv(5) == b"today"  # the tunnel did not notice
            lines = len(agent.err.lines)
            aged.kill()
            aged.start()
            agent.err.wait("attached", after=lines)
            until(lambda: aged.attached() == ["plant-1"], "it is attached again")
            again, _ = service.conversation()
            again.close()


@pytest.mark.parametrize(("offset", "way"), [(-DAY, "behind"), (DAY, "ahead of")])
def test_doctor_and_verify_say_how_wrong_the_clock_is(
    aged: Server, tmp_path: Path, offset: int, way: str
) -> None:
    key, clock = aged.generate("plant-1"), Clock(tmp_path, offset)
    trusting = ("--ca-file", str(aged.ca_file))
    ended = run("doctor", *trusting, "-o", "json", key.url, env=key.env | clock.env)
    found = {finding["check"]: finding for finding in json.loads(ended.out)}
    assert ended.code == 0  # it does not keep an agent from working
    assert found["clock"]["verdict"] == "warning"
    assert re.search(rf"864\d\d s {way}|863\d\d s {way}", found["clock"]["text"])
    assert found["key"]["verdict"] == "ok"
    relay, secret = key.url.partition("/connect")[0], key.secret.reveal()
    asked = ("keys", "verify", "-", "--online", "--relay", relay, *trusting)
    verified = run(*asked, env=clock.env, stdin=secret)
    assert verified.code == 0, verified.err
    assert f"s {way} the relay's" in verified.err


def test_a_certificate_of_tomorrow_is_a_matter_of_the_clock(server: Server, tmp_path: Path) -> None:
    """The server's certificate is of today. The agent does not give up at once: soon it may know the time."""
    key, clock = server.generate("early"), Clock(tmp_path, -2 * DAY)
    with Service() as service:
        with Program(server.agent_command(key, service.spec), key.env | clock.env) as agent:
            line = agent.err.wait("not yet valid by the clock of this machine")
            assert "Set the clock" in line
            clock.set(0)
            agent.err.wait("attached")
        clock.set(-2 * DAY)
        doctor = run("doctor", "--ca-file", str(server.ca_file), key.url, env=key.env | clock.env)
        assert doctor.code == 6
        assert "not yet valid by the clock of this machine, which says 20" in doctor.out
        assert "Set the clock" in doctor.out
        clock.set(4000 * DAY)
        doctor = run("doctor", "--ca-file", str(server.ca_file), key.url, env=key.env | clock.env)
        assert "expired by the clock of this machine" in doctor.out
