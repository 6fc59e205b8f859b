"""Running command lines in this process, as `aditus` would, and in a process of their own."""

import io
import os
import subprocess
import sys
from dataclasses import dataclass

from aditus.cli.main import main
from aditus.domain.keytext import SecretText, format_access_key

PROGRAM = [sys.executable, "-c", "import sys; from aditus.cli.main import main; sys.exit(main())"]
SECRET: SecretText = format_access_key("eu-1", "AbCdEf012345", bytes(range(32)))
OTHER_SECRET: SecretText = format_access_key("eu-1", "ZyXwVu987654", bytes(range(1, 33)))


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command line ended, and what it said where."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


class Terminal(io.StringIO):
    """A person at a terminal, who types this."""

    def isatty(self) -> bool:
        return True


def run(*words: str) -> Ended:
    """Run a command line in this process."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = io.StringIO(), io.StringIO()
    try:
        code = main(words)
        return Ended(code, sys.stdout.getvalue(), sys.stderr.getvalue())
    finally:
        sys.stdout, sys.stderr = before


def run_process(*words: str, stdin: str = "", **env: str) -> Ended:
    """Run a command line in a process of its own."""
    done = subprocess.run(
        [*PROGRAM, *words], input=stdin, capture_output=True, text=True, check=False, env=os.environ | env
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def secret_parts(secret: SecretText = SECRET) -> tuple[str, ...]:
    """What must be seen nowhere: the whole text, and its secret digits alone."""
    return secret.reveal(), secret.reveal().split("_")[3]
