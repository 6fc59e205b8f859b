"""What a load is: figures that it yields, and a function that measures them on one way, once."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.longway import LongWay
from bench.targets import Targets
from bench.ways.way import Opened


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a load yields. `key` is its name in the raw results, `title` that in tables."""

    key: str
    title: str
    unit: str
    more_is_better: bool = True
    digits: int = 1


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement: this way, open and carrying; these targets; so many whole seconds for each figure;
    in which round, from 0.
    """

    opened: Opened
    targets: Targets
    seconds: int
    round: int = 0

    def port(self, target: str) -> int:
        """Where the app connects for this target."""
        return self.opened.ports[target]


@dataclass(slots=True)
class Measured:
    """What one turn yielded: values by a figure's key, and distributions of latency in milliseconds
    (`bench.pinger.PERCENTS`) by a name of the load's.
    """

    values: dict[str, float]
    curves: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Load:
    """A load. `ways`: those that it is for (None: all). `rounds`: at most so many. `at_least`: seconds that
    one measurement needs. `long_way`: what lies between the two ends.
    """

    name: str
    title: str
    about: str
    figures: tuple[Figure, ...]
    measure: Callable[[Turn], Measured]
    needs: tuple[str, ...] = ()
    ways: frozenset[str] | None = None
    rounds: int | None = None
    at_least: int = 1
    long_way: LongWay | None = None
