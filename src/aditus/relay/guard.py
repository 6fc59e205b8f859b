"""What one agent is asked for at once: the opens that wait for its ACCEPT, and those that failed lately.

Each open takes one of the tunnel's places. ACCEPT gives it back at once; an open that ended without one gives
it back by and by. So a crowd before a slow target waits in the listener's queue instead of being reset, and a
scanner, or a crowd before a target that is down, costs relay and agent no more than `FAILED_PER_SECOND` dials
a second after the first `PLACES`.
"""

import asyncio
from collections.abc import Callable

PLACES = 256
"""Opens that may wait, or have failed, before apps have to wait: more than pools of connections do."""
REOPENS_AT = 192
"""Places still taken when apps are let in again: well below, so that this is rare."""
FAILED_PER_SECOND = 64
"""Places of failed opens that come back. A dial costs relay and agent about 0.2 ms together, so this many are
1 % of a core; and 64 apps that try again each second do not wait for one another."""


class Guard:
    """The places of one tunnel. `reopened` is called when there is room again after it was shut."""

    def __init__(self) -> None:
        self.shut = False
        """Whether nothing should be opened here now."""
        self.reopened: Callable[[], None] | None = None
        self._opening = 0
        self._failed = 0.0  # places of failed opens that were not given back at `_counted_at`
        self._counted_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def enter(self) -> None:
        """A stream was opened."""
        self._opening += 1
        if not self.shut and self._taken() >= PLACES:
            self.shut = True
        self._look()

    def leave(self, accepted: bool) -> None:
        """That stream was accepted, or is over without; called once for each `enter`."""
        self._taken()
        self._opening -= 1
        self._failed += not accepted
        self._look()

    def close(self) -> None:
        """The tunnel is gone: nothing reopens it."""
        self._closed = True
        self.reopened = None
        if self._timer is not None:
            self._timer.cancel()

    def _taken(self) -> float:
        now = self._loop.time()
        self._failed = max(0.0, self._failed - (now - self._counted_at) * FAILED_PER_SECOND)
        self._counted_at = now
        return self._opening + self._failed

    def _look(self) -> None:
        """Reopen if there is room again, or come back when there may be."""
        if not self.shut or self._closed:
            return
        above = self._taken() - REOPENS_AT
        if above <= 0:
            self.shut = False
            if self.reopened is not None:
                self.reopened()
        elif self._failed and self._timer is None:
            self._timer = self._loop.call_later(min(above, self._failed) / FAILED_PER_SECOND, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._look()
