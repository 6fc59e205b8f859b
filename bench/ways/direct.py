"""No tunnel at all: what the machine and the services can do."""

from collections.abc import Mapping

from bench.programs import Place
from bench.ways.way import Opened, Role, Way


class Direct(Way):
    """The app connects to the target; on a long way, through the same delay."""

    name = "direct"
    role = Role.PLAIN
    settings = "plain TCP from app to service"
    version = ""

    def open(self, place: Place, targets: Mapping[str, int]) -> Opened:
        return Opened({name: place.reach(port) for name, port in targets.items()})
