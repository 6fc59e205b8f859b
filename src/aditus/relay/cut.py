"""Cutting: when a key loses its right, its tunnels and streams end at once, and somebody counts them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from aditus.domain.model import Cut, RelayKey
from aditus.domain.policy import Denied, key_verdict
from aditus.relay.ingress import Ingress
from aditus.relay.keyring import Keyring
from aditus.relay.open import reset_reason
from aditus.relay.registry import Registry, Tunnel
from aditus.wire.errors import CloseCode

_LONGEST_TIMER_SECONDS = 86_400.0
"""Timers longer than a day are set anew each day: an event loop's clock and ours drift apart."""


class Cutter:
    """Ends tunnels for their key's sake, by word of the key feed or when the key expires."""

    def __init__(
        self, keyring: Keyring, registry: Registry, ingress: Ingress, removed: Callable[[Tunnel], None]
    ) -> None:
        self._keyring = keyring
        self._registry = registry
        self._ingress = ingress
        self._removed = removed
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._steps: deque[Callable[[], None]] = deque()

    def enforce(self, key: RelayKey, committed_at: float) -> Cut | None:
        """Cut the key's tunnels if it may have none now; `committed_at` is monotonic. None: it may."""
        verdict = key_verdict(key, time.time())
        if not isinstance(verdict, Denied):
            self._watch(key)
            return None
        tunnels = self._registry.of_key(key.key_id)
        streams = sum(tunnel.mux.session.streams for tunnel in tunnels)
        for tunnel in tunnels:
            self._registry.remove(tunnel)
            tunnel.mux.cut(reset_reason(verdict))
            self._later(partial(self._hang_up, tunnel, verdict))
        if verdict.reason == "revoked":
            self._later(partial(self._ingress.release, key.key_id))
        milliseconds = (time.monotonic() - committed_at) * 1000
        return Cut(key.key_id, len(tunnels), streams, round(milliseconds, 3))

    def _later(self, step: Callable[[], None]) -> None:
        """Do what can wait, a step in each turn of the loop, when the connections of all keys are down."""
        self._steps.append(step)
        if len(self._steps) == 1:
            asyncio.get_running_loop().call_soon(self._next_step)

    def _next_step(self) -> None:
        if self._steps:
            self._steps.popleft()()
        if self._steps:
            asyncio.get_running_loop().call_soon(self._next_step)

    def _hang_up(self, tunnel: Tunnel, verdict: Denied) -> None:
        code = CloseCode.SUSPENDED if verdict.reason == "suspended" else CloseCode.KEY_REFUSED
        tunnel.mux.close(code, verdict.reason, reset_reason(verdict))
        self._removed(tunnel)

    def would_cut(self, key_id: str) -> Cut:
        """What `enforce` would end now."""
        tunnels = self._registry.of_key(key_id)
        return Cut(key_id, len(tunnels), sum(tunnel.mux.session.streams for tunnel in tunnels))

    def watch(self, key_id: str) -> None:
        """A tunnel of this key was registered: cut it when the key expires."""
        key = self._keyring.get(key_id)
        if key is not None:
            self._watch(key)

    def close(self) -> None:
        """Do what was put off, and stop all timers."""
        while self._steps:
            self._next_step()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _watch(self, key: RelayKey) -> None:
        timer = self._timers.pop(key.key_id, None)
        if timer is not None:
            timer.cancel()
        if key.expires_at is not None and self._registry.of_key(key.key_id):
            delay = min(max(key.expires_at - time.time(), 0.0), _LONGEST_TIMER_SECONDS)
            loop = asyncio.get_running_loop()
            self._timers[key.key_id] = loop.call_later(delay, self._expire, key.key_id)

    def _expire(self, key_id: str) -> None:
        self._timers.pop(key_id, None)
        key = self._keyring.get(key_id)
        if key is not None:
            self.enforce(key, time.monotonic())
