"""A relay that turns on its agents: a real agent under strace, which sees each connect() that it makes."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from aditus.telemetry.complaints import LINES
from aditus.wire.errors import CannotOpen, ResetReason
from demo.stage import aditus
from tests.ends import LOOPBACK, Echo, free_port, until
from tests.process.programs import Program
from tests.recorded import RecordedEnd
from tests.world import Site

STREAMS = 10_000
MOST_GROWTH = 16 * 1024 * 1024  # bytes that it may take to refuse them
CONNECT = re.compile(r"connect\(\d+, \{sa_family=AF_INET6?, sin6?_port=htons\((\d+)\)")


@pytest.fixture
def may_trace() -> None:
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("strace may trace nobody here: the system forbids ptrace")


@pytest.mark.needs("strace")
@pytest.mark.usefixtures("may_trace")
async def test_an_agent_that_is_asked_for_ten_thousand_other_ports_connects_to_none(tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    folder.mkdir()
    trace = tmp_path / "trace"
    async with Site(folder) as site, Echo() as echo:
        key, port = site.make_key(), free_port()
        agent = aditus(
            *("connect", "--ca-file", str(folder / "ca.pem"), "--health-listen", "off"),
            *("-s", f"{port}:{LOOPBACK}:{echo.port}", str(key.url)),
        )
        strace = ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect", "-o", str(trace)]
        secret = {"ADITUS_ACCESS_KEY": key.secret.reveal()}
        with Program([*strace, *agent], secret) as program:
            await site.attached(key)
            with await site.app(port) as app:  # what is offered is dialled, and strace sees it
                await app.send(b"hello")
                assert await app.exactly(5) == b"hello"
            before = resident(program.pid)
            tunnel = site.relay._registry.pick(key.key_id, port)
            assert tunnel is not None
            others = [one for one in range(1, 65_536) if one != port][: STREAMS - 2]
            others += [echo.port, site.relay_url.port]  # the agent knows these, and offers neither
            ends: list[RecordedEnd] = []
            for other in others:
                ends.append(RecordedEnd())
                while True:
                    try:
                        tunnel.mux.open(other, "203.0.113.7:1", ends[-1])
                    except CannotOpen:  # as many as a session may have at once
                        await asyncio.sleep(0)
                        continue
                    break
            await until(lambda: all(end.reasons for end in ends), "each stream is refused")
            assert len(ends) == STREAMS
            assert {reason for end in ends for reason in end.reasons} == {ResetReason.PORT_NOT_OFFERED}
            assert resident(program.pid) - before < MOST_GROWTH
            assert len(site.tunnels(key)) == 1  # it is no reason to leave: apps of its own ports go on
            with await site.app(port) as app:
                await app.send(b"still here")
                assert await app.exactly(10) == b"still here"
            said = [line for line in program.err.lines if "refused a stream" in line]
        assert LINES <= len(said) < 3 * LINES
    dialled = sorted(map(int, CONNECT.findall(trace.read_text())))
    assert dialled == sorted([site.relay_url.port, echo.port, echo.port])


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
