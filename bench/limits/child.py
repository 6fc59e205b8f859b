"""Processes of our own that do what they are asked over a pipe, and end with us."""

import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from bench.programs import PATIENCE, STOP_SECONDS, Broken, wait_for

Answer = tuple[bool, Any]


class Child:
    """A process that runs `main` with its end of a pipe. The end of `with` ends it, by process id."""

    def __init__(self, name: str, main: Callable[[Connection], None]) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_run, args=(main, theirs), name=name, daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, method: str, *args: object) -> Any:
        """What its method answers. Raises `Broken` when it fails, has ended, or takes too long."""
        try:
            self._pipe.send((method, args))
            if not self._pipe.poll(PATIENCE):
                raise Broken(f"{self.name} does not answer to {method}")
            is_good, answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            self._process.join(STOP_SECONDS)
            raise Broken(f"{self.name} has ended with exit code {self._process.exitcode}") from error
        if not is_good:
            raise Broken(f"{self.name}: {method}: {answer}")
        return answer

    def wait_until(self, method: str, answer: object) -> None:
        """Wait until its method answers this. Raises `Broken`."""
        wait_for(
            lambda: self.ask(method) == answer,
            lambda: f"{self.name}: {method} is {self.ask(method)}, and not {answer}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()
        self._pipe.close()


def answer(pipe: Connection, works: object) -> bool:
    """In the child: take one request and answer it. False: nobody asks any more."""
    try:
        method, args = pipe.recv()
    except EOFError:
        return False
    try:
        said: Answer = (True, getattr(works, method)(*args))
    except (OSError, ValueError) as error:
        said = (False, repr(error))
    with suppress(BrokenPipeError):  # then the next `recv` says so
        pipe.send(said)
    return True


def _run(main: Callable[[Connection], None], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, which ends us in its order
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    main(pipe)
