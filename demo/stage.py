"""The demo's processes: `aditus` as people start it, with its output kept, and ended by process id."""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_SECONDS = 30.0
"""How long anything in the demo may take before it counts as failed."""
STOP_SECONDS = 15.0


class StepFailed(Exception):
    """A step of the demo did not hold: what was expected, and what was seen."""


def aditus(*words: str) -> list[str]:
    """The command line of the `aditus` that belongs to this Python."""
    return [str(Path(sys.executable).with_name("aditus")), *words]


def shown(command: list[str]) -> str:
    """A command line as a person types it."""
    return shlex.join(["aditus", *command[1:]])


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until the condition holds. Raises `StepFailed` when it does not in time."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise StepFailed(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
        time.sleep(0.02)


@contextmanager
def unbroken() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block: what it starts has an owner by then."""
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


class Process:
    """A program in the background. Its output is collected line by line, so that it never blocks on us."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # a Ctrl-C on the terminal is ours, and we stop things in our order
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-output")
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def said(self, text: str) -> str | None:
        """The first line with this text, if there was one."""
        return next((line for line in self.lines if text in line), None)

    def wait_said(self, text: str) -> str:
        """Wait for a line with this text. Raises `StepFailed` with the last lines when it does not come."""
        wait_for(lambda: self.said(text) is not None or self.exit_code is not None, f"{self.name}: {text!r}")
        line = self.said(text)
        if line is None:
            self._reader.join()
            raise StepFailed(
                f"{self.name} ended with exit code {self.exit_code}:\n" + "\n".join(self.lines[-8:])
            )
        return line

    def wait(self) -> int:
        """Wait for its end and its last line; returns the exit code."""
        try:
            code = self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise StepFailed(f"{self.name} still runs after {PATIENCE_SECONDS:.0f} s") from None
        self._reader.join()
        return code

    def stop(self) -> None:
        """End it, politely first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        if self._process.stdout is not None:
            with self._process.stdout as output:
                for line in output:
                    self.lines.append(line.rstrip())
