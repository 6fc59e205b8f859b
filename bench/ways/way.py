"""What a way is: app → public end → private end → target, set up anew for each load; with three hops, one
end more stands beside the app.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from bench.longway import LongWay
from bench.programs import Place, Program, echoes, wait_for
from bench.targets import ECHO


class Role(Enum):
    """What a way is compared as."""

    PLAIN = "no tunnel"
    OURS = "ours"
    PEER = "peer"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Opened:
    """A way that carries: at which port the app connects for each target, and the programs of its ends."""

    ports: Mapping[str, int]
    public: Sequence[Program] = ()
    private: Sequence[Program] = ()
    beside: Sequence[Program] = ()
    """Those beside the app, of ways with three hops."""

    @property
    def programs(self) -> Sequence[Program]:
        """All of them."""
        return (*self.public, *self.private, *self.beside)

    def ended(self) -> str:
        """What is known of the programs that have ended, as they should not; empty if all run."""
        return "; ".join(filter(None, (program.ended() for program in self.programs)))

    def resident(self) -> tuple[int, int]:
        """Resident memory of the public and the private end, in bytes."""
        return sum(map(Program.resident, self.public)), sum(map(Program.resident, self.private))


class Way(ABC):
    """A way; making one finds or installs its programs, and raises `Unavailable` when that fails."""

    name: ClassVar[str]
    role: ClassVar[Role]
    settings: ClassVar[str]
    """How it is set up, in words for the report."""
    version: str

    @abstractmethod
    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        """Start its programs in `place`, leading to these ports. They may still be busy starting."""


@contextmanager
def opened(way: Way, targets: Mapping[str, int], long_way: LongWay | None = None) -> Iterator[Opened]:
    """The way while the block runs, seen to carry bytes. Raises `Broken`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aditus-bench-")))
        place = Place(folder, stack)
        if long_way is not None:
            place.reach = lambda port: long_way.before(port, place)
        result = way.open(place, targets)
        programs = result.programs
        wait_for(
            lambda: echoes(result.ports[ECHO]),
            lambda: "; ".join(f"{program.name} carries nothing: {program.tail()}" for program in programs),
            *programs,
        )
        yield result
