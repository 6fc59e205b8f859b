"""What a relay saw and the control plane is to keep, collected until somebody takes it. Bounded."""

import time
from collections import deque

from aditus.domain.relays import CredentialUse, KeyRefusal, KeyUse, RelayReport, StrangerRefusal, StreamRecord

MAX_STREAMS = 20_000
"""Finished streams that wait to be taken; when it is more, the oldest are dropped and counted."""
MAX_KEY_REFUSALS = 1_000
MAX_STRANGERS = 1_000
"""Sources and reasons told apart; those beyond are counted without their source."""


class Reporter:
    """Collects on the relay's loop; `take` empties it."""

    def __init__(self) -> None:
        self.dropped_streams = 0
        """Stream records that nobody took in time, since the start."""
        self._uses: dict[tuple[str, bytes], KeyUse] = {}
        self._credential_uses: dict[str, CredentialUse] = {}
        self._streams: deque[StreamRecord] = deque()
        self._key_refusals: dict[tuple[str, str, str], int] = {}
        self._strangers: dict[tuple[int, str, str], int] = {}

    def used(self, use: KeyUse) -> None:
        """A key was used; of several uses of one secret the last counts."""
        self._uses[use.key_id, use.public_key] = use

    def used_credential(self, use: CredentialUse) -> None:
        """A credential was used; of several uses the last counts."""
        self._credential_uses[use.credential_id] = use

    def finished(self, record: StreamRecord) -> None:
        """A stream is over."""
        if len(self._streams) >= MAX_STREAMS:
            self._streams.popleft()
            self.dropped_streams += 1
        self._streams.append(record)

    def refused_key(self, key_id: str, reason: str, source: str) -> None:
        """Somebody who proved to hold a secret of this key was refused."""
        entry = (key_id, reason, source)
        if entry not in self._key_refusals and len(self._key_refusals) >= MAX_KEY_REFUSALS:
            self.refused_stranger(reason, source)
        else:
            self._key_refusals[entry] = self._key_refusals.get(entry, 0) + 1

    def refused_stranger(self, reason: str, source: str) -> None:
        """Somebody who proved nothing was refused."""
        minute = int(time.time()) // 60
        entry = (minute, source, reason)
        if entry not in self._strangers and len(self._strangers) >= MAX_STRANGERS:
            entry = (minute, "", reason)
        self._strangers[entry] = self._strangers.get(entry, 0) + 1

    def take(self) -> RelayReport:
        """All that was collected since the last time."""
        report = RelayReport(
            tuple(self._uses.values()),
            tuple(self._credential_uses.values()),
            tuple(self._streams),
            tuple(KeyRefusal(*entry, count) for entry, count in self._key_refusals.items()),
            tuple(StrangerRefusal(*entry, count) for entry, count in self._strangers.items()),
        )
        self._uses.clear()
        self._credential_uses.clear()
        self._streams.clear()
        self._key_refusals.clear()
        self._strangers.clear()
        return report
