"""Warnings that a relay or an app can cause as often as it likes: a few of each kind, then how many more."""

import asyncio
import logging
from collections import Counter
from collections.abc import Hashable

from aditus.telemetry.log import fields

_log = logging.getLogger(__name__)

LINES = 10
"""So many of a kind are logged as they come, in each span of `SECONDS`."""
SECONDS = 10.0


class Complaints:
    """What is complained of. There is to be a bound on the kinds, so no stranger chooses one."""

    def __init__(self) -> None:
        self._said: Counter[tuple[str, Hashable]] = Counter()

    def warn(self, message: str, kind: Hashable = None, **values: object) -> None:
        """Log this as a warning, with `values` as its fields, unless there were many of its kind just now."""
        if not self._said:
            asyncio.get_running_loop().call_later(SECONDS, self._sum_up)
        self._said[message, kind] += 1
        if self._said[message, kind] <= LINES:
            _log.warning("%s", message, extra=fields(**values))

    def _sum_up(self) -> None:
        for (message, _), count in self._said.items():
            if count > LINES:
                _log.warning(
                    "%s: many more lines like this were left out",
                    message,
                    extra=fields(lines=count - LINES, seconds=SECONDS),
                )
        self._said.clear()
