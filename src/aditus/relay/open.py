"""Opening a stream towards an agent: the one place where an app's wish meets the key's state and rules."""

import time
from dataclasses import dataclass

from aditus.domain.policy import Denied, attach_verdict, port_verdict
from aditus.domain.relays import RelayKey
from aditus.net.mux import MuxStream, StreamEnd
from aditus.relay.app_ring import AppRing
from aditus.relay.keyring import Keyring
from aditus.relay.registry import Registry, Tunnel
from aditus.wire.errors import CannotOpen, CloseCode, ResetReason


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that was just opened, through which tunnel, and the key as it was."""

    stream: MuxStream
    tunnel: Tunnel
    key: RelayKey


class Opener:
    """Checks the key and picks the tunnel, in one step of the loop, so that no revoke falls between them."""

    def __init__(self, keyring: Keyring, apps: AppRing, registry: Registry) -> None:
        self._keyring = keyring
        self._apps = apps
        self._registry = registry

    def open(self, key_id: str, port: int, source: str, end: StreamEnd) -> Opened:
        """A stream for `port` of one of the key's agents, whose guard it has entered, and has to `leave`.

        Raises `CannotOpen`. Never tries a second agent.
        """
        key = self._keyring.get(key_id)
        verdict = self._keyring.verdict(key_id, time.time())
        if key is None or verdict is None:
            raise CannotOpen(ResetReason.NO_AGENT)
        if isinstance(verdict, Denied):
            raise CannotOpen(reset_reason(verdict))
        if isinstance(port_verdict(key, port), Denied):
            raise CannotOpen(ResetReason.PORT_NOT_ALLOWED)
        tunnel = self._registry.pick(key_id, port)
        if tunnel is None:
            raise CannotOpen(ResetReason.NO_AGENT)
        attached = attach_verdict(key, tunnel.public_key, tunnel.source, time.time())
        if isinstance(attached, Denied):  # its timer is about to cut it
            raise CannotOpen(reset_reason(attached))
        stream = tunnel.mux.open(port, source, end)
        tunnel.guard.enter()
        return Opened(stream, tunnel, key)

    def open_for_app(self, app_id: str, port: int, source: str, end: StreamEnd) -> Opened:
        """As `open`, for the key that the app is associated with now. Raises `CannotOpen`."""
        app = self._apps.get(app_id)
        if app is None or not app.key_id:
            raise CannotOpen(ResetReason.NOT_ASSOCIATED)
        return self.open(app.key_id, port, source, end)

    def is_full_for_app(self, app_id: str, port: int) -> bool:
        """As `is_full`, for the key that the app is associated with now."""
        app = self._apps.get(app_id)
        return app is not None and self._registry.is_full(app.key_id, port)

    def is_full(self, key_id: str, port: int) -> bool:
        """Whether whoever comes for this port should wait."""
        return self._registry.is_full(key_id, port)


def reset_reason(denied: Denied) -> ResetReason:
    """What the streams of a key are told that may no longer have any."""
    return _RESET_REASONS.get(denied.reason, ResetReason.REVOKED)  # a replaced secret is as dead as that


def close_code(denied: Denied) -> CloseCode:
    """How the session of an agent ends that may no longer have one: for good, or until somebody relents."""
    return CloseCode.SUSPENDED if denied.reason in _REVERSIBLE else CloseCode.KEY_REFUSED


_RESET_REASONS = {
    "suspended": ResetReason.SUSPENDED,
    "expired": ResetReason.EXPIRED,
    "address-not-allowed": ResetReason.ADDRESS_NOT_ALLOWED,
}
_REVERSIBLE = frozenset({"suspended", "address-not-allowed"})
