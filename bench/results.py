"""What a run yielded, as raw as it was measured; and ratios, which alone are compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spread:
    """Several rounds of one thing."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread | None":
        """None of no value."""
        known = sorted(values)
        return cls(known[0], median(known), known[-1]) if known else None


@dataclass(slots=True)
class Results:
    """Everything. `values[figure][way]` and `curves[load.name][way]` have an entry for each round, None where
    that round failed. `missing` says of ways, and `failures` of loads, why something is not there.
    """

    ways: dict[str, str] = field(default_factory=dict)  # name → version and settings
    values: dict[str, dict[str, list[float | None]]] = field(default_factory=dict)
    curves: dict[str, dict[str, list[list[float] | None]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)
    limits: list[dict[str, Any]] = field(default_factory=list)  # rows of `bench.limits`
    seconds: int = 0
    rounds: int = 0

    def add(
        self, way: str, number: int, values: Mapping[str, float], curves: Mapping[str, list[float]]
    ) -> None:
        """What was measured on this way in this round, counted from 0."""
        for key, value in values.items():
            _put(self.values.setdefault(key, {}).setdefault(way, []), number, value)
        for name, curve in curves.items():
            _put(self.curves.setdefault(name, {}).setdefault(way, []), number, curve)

    def spread(self, figure: str, way: str) -> Spread | None:
        """How a figure came out on a way."""
        return Spread.of(value for value in self._rounds(figure, way) if value is not None)

    def ratio(self, figure: str, way: str, to: str) -> Spread | None:
        """A way's figure as a multiple of another's, round by round."""
        pairs = zip(self._rounds(figure, way), self._rounds(figure, to), strict=False)
        return Spread.of(ours / theirs for ours, theirs in pairs if ours is not None and theirs)

    def best(self, figure: str, ways: Iterable[str], *, more_is_better: bool) -> str | None:
        """Which of these ways has the best median. None if none was measured."""
        medians = {way: spread.median for way in ways if (spread := self.spread(figure, way))}
        if not medians:
            return None
        return (max if more_is_better else min)(medians, key=medians.__getitem__)

    def curve(self, name: str, way: str) -> list[float] | None:
        """The distribution of the round whose last value is the median one."""
        known = sorted(
            (curve for curve in self.curves.get(name, {}).get(way, []) if curve), key=lambda c: c[-1]
        )
        return known[len(known) // 2] if known else None

    def to_json(self) -> dict[str, Any]:
        """For `json.dump`, and for `from_json` later."""
        return asdict(self)

    @classmethod
    def from_json(cls, read: dict[str, Any]) -> "Results":
        """What `to_json` gave."""
        return cls(**read)

    def _rounds(self, figure: str, way: str) -> Sequence[float | None]:
        return self.values.get(figure, {}).get(way, [])


def _put(rounds: list[T | None], number: int, value: T) -> None:
    rounds.extend([None] * (number + 1 - len(rounds)))
    rounds[number] = value
