"""What relays saw, kept: when keys were used, which streams there were, who was refused."""

from aditus.control.service.context import Context
from aditus.control.service.rotation import Rotation
from aditus.domain.model import RelayReport
from aditus.store import keys


class Reports:
    """Takes the reports of this process's relay."""

    def __init__(self, context: Context, rotation: Rotation) -> None:
        self._context = context
        self._rotation = rotation

    def take(self, region: str, report: RelayReport) -> None:
        """Keep what a relay of `region` saw. Raises `AditusError` `database-unavailable`."""
        if report.uses:
            with self._context.database.write() as tx:
                keys.used(tx, report.uses)
            self._rotation.used(region, report.uses)
