"""What relays saw, kept: when keys were used, which streams there were, who was refused."""

from aditus.control.service.context import Context
from aditus.domain.model import RelayReport


class Reports:
    """Takes the reports of this process's relay."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, region: str, report: RelayReport) -> None:
        """Keep what a relay of `region` saw. Raises `AditusError` `database-unavailable`: offer it again."""
