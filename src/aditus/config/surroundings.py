"""What a program finds around it besides its command line, as a value, so that tests can make another."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from aditus.domain.errors import invalid


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The environment, the home folder (None: this user has none) and stdin."""

    env: Mapping[str, str] = field(repr=False)  # there may be secrets in it
    home: Path | None
    stdin: TextIO

    @classmethod
    def of_process(cls) -> "Surroundings":
        """Those of this process."""
        try:
            home = Path.home()
        except RuntimeError:  # a container's user without a name
            home = None
        return cls(os.environ, home, sys.stdin)

    def variable(self, name: str) -> str:
        """An environment variable; one that is empty counts as not set."""
        return self.env.get(name, "").strip()

    def folder(self, name: str) -> Path:
        """A folder in the user's home. Raises `AditusError` (invalid) when there is no home."""
        if self.home is None:
            raise invalid(
                "no-home",
                "This user has no home folder, so there is no place for profiles.",
                remedy="Set HOME, or say --config-dir where the command has it.",
            )
        return self.home / name
