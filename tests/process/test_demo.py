"""`make demo` as people run it: a process that tells every step, ends by itself and leaves nothing."""

import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.process.programs import Program, until

pytestmark = pytest.mark.timeout(180)  # it makes a PostgreSQL of its own, on a machine that may be busy

DEMO = [sys.executable, "-m", "demo"]
STEPS = [
    "Start Aditus",
    "The on-premises database",
    "Generate an access key",
    "Associate an app with it",
    "Start the agent",
    "Start the app's sidecar",
    "Run SQL through the tunnel",
    "Watch it live",
    "Revoke the key while a query streams",
    "What is left",
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files. PostgreSQL may run as nobody, so everybody may pass through it."""
    made = Path(tempfile.mkdtemp(prefix="aditus-test-demo-"))
    made.chmod(0o755)
    yield made
    for pid in processes_of(made):  # only after a failure
        os.kill(pid, signal.SIGKILL)
    shutil.rmtree(made)


def demo(folder: Path, **env: str) -> Program:
    return Program(DEMO, {"TMPDIR": str(folder), **env})


def processes_of(folder: Path) -> dict[int, str]:
    """The processes that were started with this folder for temporary files, or that work in it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            traces = (
                os.fsencode((process / "cwd").readlink()),
                (process / "cmdline").read_bytes(),
                (process / "environ").read_bytes(),
            )
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or is somebody else's
        if any(os.fsencode(folder) in trace for trace in traces):
            found[int(process.name)] = traces[1].replace(b"\0", b" ").decode("utf-8", "replace")
    return found


def assert_nothing_is_left(folder: Path) -> None:
    until(
        lambda: not processes_of(folder),
        lambda: f"its processes have ended; there are {processes_of(folder)}",
    )
    assert list(folder.iterdir()) == []


def test_every_step_holds_and_nothing_is_left(folder: Path) -> None:
    with demo(folder) as program:
        ended = program.ended(90)
    assert ended.code == 0, ended
    assert re.findall(r"^ ?\d+  (.+)$", ended.out, re.MULTILINE) == STEPS
    for told in (
        "5,000 orders worth 2499975.00, as at the database itself",
        "the Connect URL answers 404",
        "the agent ended with exit code 3: aditus: The access key was revoked.",
        "the sidecar has closed its local port, and waits for the next key",
        "reports is still associated with demo-key, marked revoked, until somebody removes it",
    ):
        assert f"  ✓  {told}" in ended.out
    assert re.search(r"✓  the query died after [\d,]+ rows: ", ended.out)
    assert re.search(r"✓  cut 1 stream\(s\) and 1 tunnel\(s\) [\d.]+ ms after the commit", ended.out)
    assert re.search(r"✓  the app saw its connection reset [\d.]+ ms after asking", ended.out)
    assert "demo-key   " in ended.out  # the live table
    assert re.search(r"^Every step held, in \d+ seconds\.$", ended.out, re.MULTILINE)
    assert ended.err == ""
    assert not re.search(r"adt(_local|a)_[0-9A-Za-z]{12}_", ended.out)  # no secret
    assert_nothing_is_left(folder)


@pytest.mark.slow
def test_with_keep_it_stays_up_for_people_to_play(folder: Path) -> None:
    with demo(folder, KEEP="1") as kept:
        kept.out.wait("aditus keys revoke demo-key")
        assert kept.is_running
        # The commands that it prints work as they stand there.
        psql = kept.out.wait("psql '")
        with psycopg.connect(psql.split("'")[1]) as connection:
            assert connection.execute("SELECT count(*) FROM orders").fetchone() == (5000,)
        export = [line.strip() for line in kept.out.lines if line.startswith("     export ")]
        script = " && ".join([*export, "aditus tunnels list -o json"])
        with Program(["/bin/sh", "-c", script]) as listing:
            ended = listing.ended()
        assert (ended.code, ended.err) == (0, "")
        assert '"access_key_id": "demo-key"' in ended.out
        # Ctrl-C ends it, with all that it had started.
        assert len(processes_of(folder)) >= 5  # itself, server, agent, sidecar, PostgreSQL
        assert kept.end(signal.SIGINT) == 0
        assert kept.err.text == ""
        assert_nothing_is_left(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_the_middle_leaves_nothing_either(
    folder: Path, number: signal.Signals, code: int
) -> None:
    with demo(folder) as program:
        program.out.wait(" 5  Start the agent")
        assert program.end(number) == code
    assert_nothing_is_left(folder)
