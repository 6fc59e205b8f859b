"""From an open stream to what is kept of it when it is over."""

import time

from aditus.domain.relays import StreamRecord
from aditus.relay.open import Opened
from aditus.relay.report import Reporter


class Recording:
    """One stream. The first word of how it ended counts."""

    __slots__ = ("_began", "_finished_at", "_opened", "_reason", "_setup_ms")

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._began = time.monotonic()
        self._setup_ms: float | None = None
        self._reason = ""
        self._finished_at = 0.0

    def accepted(self) -> None:
        """The target answered."""
        self._setup_ms = round((time.monotonic() - self._began) * 1000, 3)

    def over(self, reason: str) -> None:
        """It ended, now: `closed`, or the token of the RESET. Cheap; `keep` follows."""
        if not self._reason:
            self._reason, self._finished_at = reason, time.time()

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
                app_id="",
                source=stream.source,
                opened_at=stream.opened_at,
                finished_at=self._finished_at,
                bytes_in=stream.bytes_sent,
                bytes_out=stream.bytes_received,
                setup_ms=self._setup_ms,
                reason=self._reason,
            )
        )
