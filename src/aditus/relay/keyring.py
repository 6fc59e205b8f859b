"""What this relay knows of keys: public keys in memory, fed from the key feed. No truth lives here."""

from aditus.domain.model import KeyState
from aditus.domain.policy import Verdict, key_verdict
from aditus.domain.relays import KeyChanges, RelayKey

MAX_DEAD = 10_000
"""Revoked keys that are remembered, so that their agents are told why; the oldest are forgotten first."""


class Keyring:
    """The keys of one region by key_id and by connect id, up to an epoch."""

    def __init__(self) -> None:
        self.epoch = 0
        self._keys: dict[str, RelayKey] = {}
        self._by_connect_id: dict[str, str] = {}
        self._dead: dict[str, None] = {}  # in the order in which they were learnt of

    def apply(self, changes: KeyChanges) -> None:
        """Take over changed keys. The feed tells changes in the order of their commits."""
        for key in changes.keys:
            known = self._keys.get(key.key_id)
            if known is not None:
                self._by_connect_id.pop(known.connect_id, None)
            self._keys[key.key_id] = key
            if key.connect_id:
                self._by_connect_id[key.connect_id] = key.key_id
            if key.state is KeyState.REVOKED:
                self._dead[key.key_id] = None
        while len(self._dead) > MAX_DEAD:
            oldest = next(iter(self._dead))
            del self._dead[oldest], self._keys[oldest]
        self.epoch = max(self.epoch, changes.epoch)

    def get(self, key_id: str) -> RelayKey | None:
        """The key, dead or alive; None when it was never known here."""
        return self._keys.get(key_id)

    def at(self, connect_id: str) -> RelayKey | None:
        """The key whose Connect URL this is."""
        return self._keys.get(self._by_connect_id.get(connect_id, ""))

    def verdict(self, key_id: str, now: float) -> Verdict | None:
        """Whether the key may be used at `now` (Unix seconds); None for an unknown key."""
        key = self._keys.get(key_id)
        return None if key is None else key_verdict(key, now)
