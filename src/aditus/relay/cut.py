"""Cutting: what a key does not allow any more ends at once, and somebody counts it.

That is all its tunnels when the key itself has lost its right, those of a secret that was replaced or of an
address that is not allowed any more, or the streams for a port.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from aditus.domain.model import Cut, KeyState
from aditus.domain.policy import WARNING_DAYS, Denied, attach_verdict, key_verdict, port_verdict
from aditus.domain.relays import RelayKey
from aditus.relay.ingress import Ingress
from aditus.relay.keyring import Keyring
from aditus.relay.open import close_code, reset_reason
from aditus.relay.registry import Registry, Tunnel
from aditus.wire.errors import ResetReason

_LONGEST_TIMER_SECONDS = 86_400.0
"""Timers longer than a day are set anew each day: an event loop's clock and ours drift apart."""


class Cutter:
    """Ends tunnels for their key's sake, by word of the key feed or when a time comes that the key names."""

    def __init__(
        self,
        keyring: Keyring,
        registry: Registry,
        ingress: Ingress,
        *,
        removed: Callable[[Tunnel], None],
        warn: Callable[[str], None],
    ) -> None:
        self._keyring = keyring
        self._registry = registry
        self._ingress = ingress
        self._removed = removed
        self._warn = warn
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._steps: deque[Callable[[], None]] = deque()

    def enforce(self, key: RelayKey, committed_at: float) -> Cut | None:
        """Cut what the key forbids now; `committed_at` is monotonic. None: all its tunnels may stay."""
        now = time.time()
        tunnels = streams = 0
        for tunnel in self._registry.of(key.key_id):
            verdict = attach_verdict(key, tunnel.public_key, tunnel.source, now)
            if isinstance(verdict, Denied):
                tunnels += 1
                streams += tunnel.mux.session.streams
                self._registry.remove(tunnel)
                tunnel.mux.cut(reset_reason(verdict))
                self._later(partial(self._hang_up, tunnel, verdict))
            else:
                _cut_ports(key, tunnel)
        verdict = key_verdict(key, now)
        if verdict:
            self._watch(key)
            if not tunnels:
                return None
        elif key.state is KeyState.REVOKED:
            self._later(partial(self._ingress.release, key.key_id))
        milliseconds = (time.monotonic() - committed_at) * 1000
        return Cut(key.key_id, tunnels, streams, round(milliseconds, 3))

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
        tunnel.mux.close(close_code(verdict), verdict.reason, reset_reason(verdict))
        self._removed(tunnel)

    def would_cut(self, key_id: str) -> Cut:
        """What `enforce` would end now."""
        tunnels = self._registry.of(key_id)
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
        moment = _next_moment(key, time.time())
        if moment is not None and self._registry.of(key.key_id):
            delay = min(max(moment - time.time(), 0.0), _LONGEST_TIMER_SECONDS)
            loop = asyncio.get_running_loop()
            self._timers[key.key_id] = loop.call_later(delay, self._look, key.key_id)

    def _look(self, key_id: str) -> None:
        """A moment has come at which the key, or one of its secrets, may have lost its right."""
        self._timers.pop(key_id, None)
        key = self._keyring.get(key_id)
        if key is not None:
            self.enforce(key, time.monotonic())
            self._warn(key_id)


def _cut_ports(key: RelayKey, tunnel: Tunnel) -> None:
    """End the streams for ports that the key does not allow any more."""
    if key.allowed_ports is not None:
        for stream in tunnel.mux.streams:
            if isinstance(port_verdict(key, stream.port), Denied):
                stream.cut(ResetReason.PORT_NOT_ALLOWED)


def _next_moment(key: RelayKey, now: float) -> float | None:
    """When the key or its old secret ends, or its agents are to be warned, whichever comes first."""
    moments = [secret.ends_at for secret in key.secrets if secret.ends_at is not None]
    if key.expires_at is not None:
        moments += [key.expires_at, *(key.expires_at - days * 86_400 for days in WARNING_DAYS)]
    return min((moment for moment in moments if moment > now), default=None)
