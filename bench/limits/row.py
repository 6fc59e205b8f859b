"""One measured limit, as data, and whether it is held."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Goal:
    """One of a row's values is at least, or at most, `limit`, in the row's unit."""

    value: str
    sign: Literal["≥", "≤"]
    limit: float

    def __str__(self) -> str:
        return f"{self.value} {self.sign} {self.limit:g}"

    def outcome(self, found: float) -> str:
        """Reached, or by how much not."""
        missing = self.limit - found if self.sign == "≥" else found - self.limit
        if missing <= 0:
            return "reached"
        return f"not reached, by {missing:.3g} ({100 * missing / self.limit:.0f} %)"


@dataclass(frozen=True, slots=True)
class Row:
    """`measurement` is the name it is asked for by; `values` have names as min, median, max, p99."""

    measurement: str
    what: str
    unit: str
    values: Mapping[str, float]
    goals: tuple[Goal, ...] = ()
    note: str = ""

    @property
    def is_reached(self) -> bool:
        """Whether every goal is; also of a row without any."""
        return all(goal.outcome(self.values[goal.value]) == "reached" for goal in self.goals)

    @property
    def measured(self) -> str:
        """The values, for people."""
        return " · ".join(f"{name} {value:.4g}" for name, value in self.values.items()) + f" {self.unit}"

    @property
    def outcome(self) -> str:
        """What became of each goal."""
        return "; ".join(f"goal {goal}: {goal.outcome(self.values[goal.value])}" for goal in self.goals)

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> "Row":
        """What `dataclasses.asdict` gave."""
        return cls(**{**read, "goals": tuple(Goal(**goal) for goal in read["goals"])})

    def __str__(self) -> str:
        parts = (f"{self.measurement:<8}  {self.what}: {self.measured}", self.outcome, self.note)
        return " — ".join(filter(None, parts))


def spread(values: Sequence[float]) -> dict[str, float]:
    """Of several rounds."""
    return {"min": min(values), "median": median(values), "max": max(values)}


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Of many moments: the nearest ranks."""
    ordered = sorted(values)
    ranks = {f"p{percent}": ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 99)}
    return {**ranks, "last": ordered[-1]}
