"""One app's conversation through a tunnel: the place that it takes there, and what is kept of it after."""

import time

from aditus.domain.relays import StreamRecord
from aditus.relay.open import Opened
from aditus.relay.report import Reporter
from aditus.wire.errors import ResetReason

TARGET_FAILURES = frozenset(
    {ResetReason.TARGET_REFUSED, ResetReason.TARGET_TIMEOUT, ResetReason.TARGET_UNRESOLVED}
)


class Conversation:
    """Begins when its stream was opened. The first word of how it ended counts."""

    __slots__ = ("_app_id", "_began", "_ended", "_finished_at", "_opened", "_reason", "_setup_ms", "_waits")

    def __init__(self, opened: Opened, app_id: str = "") -> None:
        self._opened = opened
        self._app_id = app_id  # empty: through a listener
        self._began = time.monotonic()
        self._waits = True  # for its agent's ACCEPT
        self._setup_ms: float | None = None
        self._ended = False
        self._reason: ResetReason | None = None
        self._finished_at = 0.0

    def accepted(self) -> None:
        """The target answered."""
        self._opened.tunnel.failing.pop(self._opened.stream.port, None)
        self._leave(accepted=True)
        self._setup_ms = round((time.monotonic() - self._began) * 1000, 3)

    def over(self, reason: ResetReason | None) -> None:
        """It ended, now: by this RESET, or in peace. Cheap; `keep` follows."""
        if self._waits and reason in TARGET_FAILURES:
            self._opened.tunnel.failing[self._opened.stream.port] = time.monotonic()
        self._leave(accepted=False)
        if not self._ended:
            self._ended, self._reason, self._finished_at = True, reason, time.time()

    def keep(self, reporter: Reporter) -> None:
        """Report it; done once."""
        stream, tunnel, key = self._opened.stream, self._opened.tunnel, self._opened.key
        reporter.finished(
            StreamRecord(
                subscription_id=key.subscription_id,
                region=key.region,
                key_id=key.key_id,
                access_key_id=key.access_key_id,
                tunnel_id=tunnel.tunnel_id,
                instance=tunnel.instance.hex(),
                port=stream.port,
                app_id=self._app_id,
                source=stream.source,
                opened_at=stream.opened_at,
                finished_at=self._finished_at,
                bytes_in=stream.bytes_sent,
                bytes_out=stream.bytes_received,
                setup_ms=self._setup_ms,
                reason="closed" if self._reason is None else self._reason.token,
            )
        )

    def _leave(self, accepted: bool) -> None:
        if self._waits:
            self._waits = False
            self._opened.tunnel.guard.leave(accepted)
