"""deploy/docker/Dockerfile as a value: its stages, and the instructions of each."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/docker/Dockerfile"


@dataclass(slots=True)
class Stage:
    """What stands between one FROM and the next."""

    base: str
    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        """The arguments of each such instruction."""
        return [argument for name, argument in self.lines if name == instruction]


def stages() -> dict[str, Stage]:
    """All stages by name, in their order."""
    found: dict[str, Stage] = {}
    for line in FILE.read_text().replace("\\\n", " ").splitlines():
        if not line or line.startswith("#"):
            continue
        instruction, _, argument = line.partition(" ")
        if instruction == "FROM":
            stage = re.fullmatch(r"(\S+) AS (\S+)", argument)
            assert stage, "each stage has a name"
            found[stage[2]] = Stage(stage[1], stage[2])
        else:
            found[[*found][-1]].lines.append((instruction, argument))
    return found


def lineage(name: str) -> list[Stage]:
    """The stage and those that it begins from, the first one first."""
    known = stages()
    stage = known[name]
    return [*(lineage(stage.base) if stage.base in known else []), stage]


def last(name: str, instruction: str) -> str:
    """What counts in an image of this target."""
    return [argument for stage in lineage(name) for argument in stage.all(instruction)][-1]


def words(name: str, instruction: str) -> list[str]:
    """The same, of an instruction in exec form."""
    found: list[str] = json.loads(last(name, instruction))
    return found
