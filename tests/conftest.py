"""What holds for every test: nothing leaks, properties come in two sizes, and a skip has a reason."""

import asyncio
import gc
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

if sys.platform != "win32":
    import uvloop

    uvloop.new_event_loop().close()  # from the first loop on, libuv keeps a pipe for signals: no test's leak

os.environ["SSL_CERT_FILE"] = (
    os.devnull
)  # no test relies on the web's authorities, and reading them takes 20 ms

# What a shell starts in the background ignores SIGINT, and under nohup SIGHUP: so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)  # the tests themselves go on; what they start may end of it

CI = os.environ.get("CI", "").lower() in {"1", "true"}
FULL = os.environ.get("FULL") == "1"

DESCRIPTORS = Path("/proc/self/fd")
SETTLE_SECONDS = 2.0
"""How long a closing connection or an ending thread may take after its test; only leaks wait for it all."""
SETTLE_TRIES = 200

# `fast` tries the same examples at each run, so that a red ring is red for the change at hand.
hypothesis.settings.register_profile("fast", max_examples=50, derandomize=True, deadline=None)
hypothesis.settings.register_profile("full", max_examples=2000, print_blob=True, deadline=None)
hypothesis.settings.load_profile("full" if FULL else "fast")


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end: garbage is not looked for among it."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Honour the mark `needs(*programs)`."""
    for mark in item.iter_markers("needs"):
        missing = ", ".join(program for program in mark.args if shutil.which(program) is None)
        if missing and CI:
            pytest.fail(f"needs {missing}: in CI nothing is skipped, so .ci/run installs it", pytrace=False)
        if missing:
            pytest.skip(f"needs {missing}")


def open_files() -> set[str]:
    """The descriptors of this process and what they lead to; nothing where the system does not tell."""
    if not DESCRIPTORS.is_dir():
        return set()
    found = set()
    with os.scandir(DESCRIPTORS) as listing:
        paths = [entry.path for entry in listing]
    for path in paths:
        try:
            found.add(f"{path} -> {os.readlink(path)}")  # noqa: PTH115  a fifth of Path's time, at each test
        except FileNotFoundError:
            continue  # the one that listed the folder
    return found


def open_sockets() -> int:
    """How many there are. Not which: uvloop has new ones of its own at each run."""
    return sum("-> socket:" in file for file in open_files())


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fails a test that leaves threads running or descriptors open.

    Fixtures of a wider scope are set up before this one, so what they hold is not counted. The loop
    of an async test is made after it and closed before it looks again.
    """
    files, threads = open_files(), set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in left:
        thread.join(SETTLE_SECONDS / len(left))
    left = [thread for thread in left if thread.is_alive()]
    if open_files() - files:
        gc.collect()  # what nobody refers to any more is no leak; it warns, where it should have been closed
    opened = sorted(open_files() - files)
    if left or opened:
        pytest.fail(f"still there after the test: threads {left}, descriptors {opened}", pytrace=False)


@pytest.fixture(autouse=True)
def no_task_is_left(request: pytest.FixtureRequest, nothing_leaks: None) -> None:
    """Fails an async test that leaves tasks without an owner."""
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("every_task_is_awaited")


@pytest.fixture
async def every_task_is_awaited() -> AsyncIterator[None]:
    """Set up first and torn down last of what lives in the loop of one test."""
    sockets = open_sockets()
    yield
    for _ in range(SETTLE_TRIES):  # a TLS connection says goodbye, and no event tells when all are closed
        if open_sockets() <= sockets:
            break
        await asyncio.sleep(SETTLE_SECONDS / SETTLE_TRIES)
    for _ in range(5):  # turns of the loop, for callbacks that are due already
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        pytest.fail(f"nobody awaited these tasks: {sorted(map(repr, left))}", pytrace=False)
