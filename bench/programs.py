"""Programs that the bench starts: each with a log of its own, watched, measured, and ended by process id."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from demo.postgres import free_port
from demo.stage import unbroken

LOOPBACK = "127.0.0.1"
ROOT = Path(__file__).parent.parent
"""The checkout: some of our programs are modules in it that are not installed."""
Command = Sequence[str | Path]
PATIENCE = 20.0
"""Seconds that a program may take to be ready, or to answer."""
STOP_SECONDS = 5.0
"""Seconds to end after SIGTERM, before SIGKILL."""
PAGE = os.sysconf("SC_PAGE_SIZE")


class Broken(Exception):
    """A way or a tool did not do its work; the text says which, why, and how its log ends."""


class Program:
    """A program in the background. `stop` ends it and all that it started, by process id."""

    def __init__(self, name: str, command: Command, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                env=os.environ | dict(env or {}),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C on the terminal is ours, and we stop things in our order
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ended(self) -> str:
        """How it ended and its last lines, as one; empty while it runs."""
        code = self._process.poll()
        return "" if code is None else f"{self.name} ended with exit code {code}: {self.tail()}"

    def wait(self, seconds: float) -> int:
        """Wait for its end by itself; the exit code. `Broken` when it does not end in time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Broken(f"{self.name} did not end in {seconds:.0f} s: {self.tail()}") from None

    def said(self) -> str:
        """All that it wrote."""
        return self._log.read_text("utf-8", "replace")

    def tail(self) -> str:
        """Its last lines, as one."""
        return " / ".join(self.said().splitlines()[-3:]) or "it wrote nothing"

    def has_read(self) -> int:
        """Bytes that it has read so far, from files and sockets."""
        counts = re.search(r"^rchar: (\d+)$", Path(f"/proc/{self.pid}/io").read_text(), re.MULTILINE)
        return int(counts[1]) if counts else 0

    def resident(self) -> int:
        """The resident memory of it and its children in bytes; a page that they share counts in each."""
        pages = 0
        for pid in _family(self.pid):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * PAGE

    def wait_listening(self, port: int) -> None:
        """Wait until somebody listens at this port, without connecting to it."""
        wait_for(lambda: is_listening(port), lambda: f"{self.name} does not listen: {self.tail()}", self)

    def stop(self) -> None:
        """End it, politely first. Children that it leaves behind are killed."""
        with unbroken():
            children = _family(self.pid)[1:]
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()
            for pid in children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


class Place:
    """Where a way or a target is set up: a folder of its own, and the stack that ends what is started in it.

    `reach` gives the port at which the dialling end of a way finds what listens at a port: the same one, or
    that of a long way in between.
    """

    def __init__(
        self, folder: Path, stack: ExitStack, reach: Callable[[int], int] = lambda port: port
    ) -> None:
        self.folder = folder
        self.reach = reach
        self._stack = stack

    def start(self, name: str, command: Command, env: Mapping[str, str] | None = None) -> Program:
        """Start a program that ends with this place."""
        with unbroken():
            program = Program(name, command, self.folder / f"{name.replace(' ', '-')}.log", env)
            self._stack.callback(program.stop)
        return program

    def write(self, name: str, text: str) -> Path:
        """A file of this place, for its owner alone."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)


def is_listening(port: int) -> bool:
    """Whether a TCP socket of this machine listens at this port."""
    wanted = f"{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == "0A" and local.endswith(f":{wanted}"):
                return True
    return False


def echoes(port: int) -> bool:
    """Whether a byte that is sent to this port comes back."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), 1.0) as sock:
        sock.sendall(b"?")
        return sock.recv(1) == b"?"
    return False


def wait_for(condition: Callable[[], bool], why: Callable[[], str], *programs: Program) -> None:
    """Wait until the condition holds. `Broken` when a program ends before, or `PATIENCE` does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        for program in programs:
            if program.ended():
                raise Broken(program.ended())
        if time.monotonic() > until:
            raise Broken(f"after {PATIENCE:.0f} s {why()}")
        time.sleep(0.02)


def tool(command: Command, seconds: float, env: Mapping[str, str] | None = None) -> str:
    """Run a measuring program to its end, which comes after about `seconds`; what it printed."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            [str(word) for word in command],
            env=os.environ | dict(env or {}),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"{name} did not end {PATIENCE:.0f} s after its time") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise Broken(f"{name} ended with exit code {done.returncode}: {' / '.join(said[-3:])}")
    return done.stdout


def _family(pid: int) -> list[int]:
    """This process and its descendants, as far as they run."""
    found = [pid]
    for parent in found:
        with suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
