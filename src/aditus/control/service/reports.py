"""What relays saw, kept: when keys and credentials were used, which streams there were, who was refused."""

import time

from aditus.control.service.context import Context
from aditus.control.service.refused import Refused
from aditus.control.service.rotation import Rotation
from aditus.domain.relays import RelayReport
from aditus.store import app_credentials, keys, stream_records

WRITTEN_AT_ONCE = 1_000
"""Stream records in one transaction: other writers wait for it."""
PRUNE_SECONDS = 60.0


class Reports:
    """Takes the reports of this process's relay."""

    def __init__(self, context: Context, rotation: Rotation, refused: Refused) -> None:
        self._context = context
        self._rotation = rotation
        self._refused = refused
        self._pruned_at = -PRUNE_SECONDS

    def take(self, region: str, report: RelayReport) -> None:
        """Keep what a relay of `region` saw. Raises `AditusError` `database-unavailable`."""
        if report.uses:
            with self._context.database.write() as tx:
                keys.used(tx, report.uses)
            self._rotation.used(region, report.uses)
        if report.credential_uses:
            with self._context.database.write() as tx:
                app_credentials.used(tx, report.credential_uses)
        self._refused.keep(region, report.key_refusals, report.stranger_refusals)
        for start in range(0, len(report.streams), WRITTEN_AT_ONCE):
            with self._context.database.write() as tx:
                stream_records.add(tx, report.streams[start : start + WRITTEN_AT_ONCE])
        if time.monotonic() - self._pruned_at >= PRUNE_SECONDS:
            self._pruned_at = time.monotonic()
            self._prune()

    def _prune(self) -> None:
        """Forget stream records that are too old or too many, in steps that no writer waits for."""
        more = True
        while more:
            with self._context.database.write() as tx:
                more = stream_records.prune(tx, self._context.now())
