"""Letting agents in: the two-step proof, and the life of a session from its HELLO to its end.

Step (a), the bearer, decides the HTTP answer alone. Step (b), the signed challenge, decides whether a tunnel
is registered; checking the key and registering happen in one step of the loop, so that a revoke cannot
fall between them. docs/wire-protocol.md, section 2.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus

from aditus.domain.policy import Denied, attach_verdict, key_verdict
from aditus.domain.ports import Verifier
from aditus.domain.relays import RelayKey, RelaySecret
from aditus.net.door import Door
from aditus.net.mux import Mux, MuxStream, Resources
from aditus.net.ws import Refusal, Upgrade
from aditus.relay.keyring import Keyring
from aditus.relay.open import close_code, reset_reason
from aditus.relay.registry import Registry, Tunnel
from aditus.relay.report import Reporter
from aditus.relay.settings import RelaySettings
from aditus.relay.source import source_of
from aditus.telemetry.log import fields
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.events import Event, GoawayReceived, HelloReceived, OfferReceived
from aditus.wire.frames import CHALLENGE_SIZE, SUBPROTOCOL, DialerHello, Offer, Role, attach_message
from aditus.wire.session import Session

_log = logging.getLogger(__name__)

TextOf = dict[str, str]
_MESSAGES: TextOf = {
    "bad-proof": "No valid proof of an access key for this address.",
    "clock-skew": "The clock of the agent is wrong; see Date.",
    "revoked": "The access key was revoked.",
    "expired": "The access key has expired.",
    "replaced": "The secret was replaced by a newer one.",
    "suspended": "The access key is suspended.",
    "address-not-allowed": "The access key's rules do not allow the address that this comes from.",
    "wrong-region": "The access key belongs to another region.",
    "no-such-url": "There is no such Connect URL.",
    "draining": "This relay is shutting down.",
}


class Acceptor:
    """Decides upgrades and owns the sessions of agents."""

    def __init__(
        self,
        settings: RelaySettings,
        keyring: Keyring,
        registry: Registry,
        verifier: Verifier,
        resources: Resources,
        door: Door,
        reporter: Reporter,
        *,
        registered: Callable[[Tunnel], None],
        offered: Callable[[Tunnel, Offer], None],
        removed: Callable[[Tunnel], None],
        refused: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._registry = registry
        self._verifier = verifier
        self._resources = resources
        self._door = door
        self._reporter = reporter
        self._registered = registered
        self._offered = offered
        self._removed = removed
        self._refused = refused
        self.draining = False
        self._visits: set[_Visit] = set()

    @property
    def handshake_seconds(self) -> float:
        """How long a dialer may take from the upgrade to its OFFER."""
        return self._settings.handshake_seconds

    # --- step (a): the bearer decides the HTTP answer ------------------------------------------

    def decide(self, upgrade: Upgrade) -> Mux | Refusal:
        """101 as a `Mux`, or the refusal of docs/wire-protocol.md, section 2.1."""
        source = source_of(upgrade, self._settings.trusted_proxies)
        answer = self._decide(upgrade, source)
        if isinstance(answer, Refusal):
            return answer
        key, audience = answer
        visit = _Visit(self, key.key_id, audience, key.connect_id, source)
        self._visits.add(visit)
        return visit.mux

    def _decide(self, upgrade: Upgrade, source: str) -> tuple[RelayKey, str] | Refusal:
        if self.draining:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "draining", source, {"Retry-After": "1"})
        path = upgrade.path.partition("?")[0]
        head, _, connect_id = path.removeprefix("/").partition("/")
        at = self._keyring.at(connect_id) if head == "connect" and connect_id else None
        scheme, _, bearer = upgrade.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            if at is not None or (path == "/connect" and "Upgrade" in upgrade.headers):
                return self._refuse_stranger(source, HTTPStatus.UNAUTHORIZED, "bad-proof")
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        try:
            claims = self._verifier.claims(bearer.strip())
        except ValueError:
            claims = None
        if claims is not None and claims.region != self._settings.region:
            return self._refuse_stranger(source, HTTPStatus.FORBIDDEN, "wrong-region")
        key = self._keyring.get(claims.key_id) if claims is not None else None
        proven = "bad-proof" if key is None else self._prove(bearer.strip(), key)
        if key is not None and isinstance(proven, RelaySecret):
            verdict = attach_verdict(key, proven.public_key, source, time.time())
            if isinstance(verdict, Denied):
                return self._refuse_key(key, source, verdict.reason)
        if head != "connect" or (connect_id and at is None):
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        if key is None or claims is None or not isinstance(proven, RelaySecret):
            reason = proven if isinstance(proven, str) else "bad-proof"
            return self._refuse_stranger(source, HTTPStatus.UNAUTHORIZED, reason)
        if at is not None and at.key_id != key.key_id:
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        if upgrade.headers.get("Sec-WebSocket-Protocol") != SUBPROTOCOL:
            return Refusal(HTTPStatus.BAD_REQUEST, f"This relay speaks {SUBPROTOCOL} alone.")
        return key, claims.audience

    def _prove(self, bearer: str, key: RelayKey) -> RelaySecret | str:
        """The secret of the key that signed the bearer for us, or why it was not accepted."""
        why = "bad-proof"
        for secret in reversed(key.secrets):  # the newest first: it is the likeliest
            verdict = self._verifier.check_bearer(
                bearer, secret.public_key, self._settings.audiences, time.time()
            )
            if verdict.ok:
                return secret
            if verdict.reason == "clock-skew":
                why = verdict.reason
        return why

    def _refuse_key(self, key: RelayKey, source: str, reason: str) -> Refusal:
        self._reporter.refused_key(key.key_id, reason, source)
        return self._refuse(HTTPStatus.FORBIDDEN, reason, source)

    def _refuse_stranger(self, source: str, status: HTTPStatus, reason: str) -> Refusal:
        self._reporter.refused_stranger(reason, source)
        return self._refuse(status, reason, source)

    def _refuse(self, status: HTTPStatus, reason: str, source: str, headers: TextOf | None = None) -> Refusal:
        self._refused(reason)
        _log.info("refused an upgrade", extra=fields(status=int(status), reason=reason, source=source))
        told = {"Aditus-Reason": reason, "Cache-Control": "no-store", **(headers or {})}
        if status == HTTPStatus.UNAUTHORIZED:
            told |= {"WWW-Authenticate": "Bearer", "Date": formatdate(usegmt=True)}
        return Refusal(status, _MESSAGES[reason], told)

    # --- step (b): the signed challenge decides whether there is a tunnel ----------------------

    def admit(self, visit: "_Visit", hello: DialerHello) -> Tunnel | None:
        """Check the key as it is now, verify the signature, register: one step of the loop."""
        key = self._keyring.get(visit.key_id)
        if key is None:  # revoked, and forgotten since the upgrade
            self._refused("revoked")
            visit.mux.close(CloseCode.KEY_REFUSED, "revoked", ResetReason.REVOKED)
            return None
        message = attach_message(
            hello.role, visit.challenge, visit.connect_id, key.key_id, visit.audience, hello.instance
        )
        secret = next(
            (
                secret
                for secret in reversed(key.secrets)
                if self._verifier.check_signature(message, hello.signature, secret.public_key)
            ),
            None,
        )
        verdict = key_verdict(key, time.time())
        if secret is not None:
            verdict = attach_verdict(key, secret.public_key, visit.source, time.time())
        if isinstance(verdict, Denied):
            self._refused(verdict.reason)
            if secret is not None:
                self._reporter.refused_key(key.key_id, verdict.reason, visit.source)
            visit.mux.close(close_code(verdict), verdict.reason, reset_reason(verdict))
            return None
        if hello.role is not Role.AGENT or secret is None:
            self._refused("bad-proof")
            self._reporter.refused_stranger("bad-proof", visit.source)
            _log.warning("closing a session: its challenge was not signed by the key's secret")
            visit.mux.close(CloseCode.PROTOCOL, "protocol", ResetReason.PROTOCOL)
            return None
        if self.draining:  # since the upgrade
            visit.mux.close(CloseCode.DRAIN, "drain", ResetReason.DRAIN)
            return None
        visit.mux.session.admit(time.monotonic())
        ws = visit.mux.ws
        if ws is not None:
            self._door.leave(ws.descriptor)
        tunnel = Tunnel(
            tunnel_id=secrets.token_hex(8),
            key_id=key.key_id,
            instance=hello.instance,
            slot=hello.slot,
            mux=visit.mux,
            program=hello.program,
            host=hello.host,
            peer=visit.source if self._settings.trusted_proxies or ws is None else ws.peer,
            attached_at=time.time(),
            public_key=secret.public_key,
            source=visit.source,
        )
        superseded = self._registry.add(tunnel)
        if superseded is not None:
            superseded.mux.close(CloseCode.SUPERSEDED, "superseded", ResetReason.AGENT_LOST)
            self._removed(superseded)
        self._registered(tunnel)
        return tunnel

    def offer(self, tunnel: Tunnel, offer: Offer) -> None:
        """An agent says what it offers."""
        self._offered(tunnel, offer)

    def leaving(self, tunnel: Tunnel) -> None:
        """An agent drains: its slot is free for its successor."""
        self._registry.free_slot(tunnel)

    def gone(self, visit: "_Visit", tunnel: Tunnel | None) -> None:
        """A session is over, or never began."""
        self._visits.discard(visit)
        if tunnel is not None and self._registry.remove(tunnel):
            self._removed(tunnel)

    def close(self) -> None:
        """End every session, registered or not."""
        for visit in list(self._visits):
            visit.mux.close(CloseCode.DRAIN, "drain", ResetReason.DRAIN)

    def session(self, challenge: bytes, connect_id: str) -> Session:
        """A fresh session whose HELLO carries this challenge."""
        resources = self._resources
        budget = resources.session_budget()
        return Session.acceptor(challenge, connect_id, budget, resources.limits, time.monotonic())

    def mux(self, visit: "_Visit", session: Session) -> Mux:
        """A mux for that session, owned by its visit."""
        return Mux(session, visit, self._resources, ResetReason.AGENT_LOST)


class _Visit:
    """One session of a dialer: first a stranger with a good bearer, then a tunnel."""

    def __init__(self, acceptor: Acceptor, key_id: str, audience: str, connect_id: str, source: str) -> None:
        self.key_id = key_id
        self.audience = audience
        self.connect_id = connect_id
        self.source = source
        self.challenge = secrets.token_bytes(CHALLENGE_SIZE)
        self.mux = acceptor.mux(self, acceptor.session(self.challenge, connect_id))
        self._acceptor = acceptor
        self._tunnel: Tunnel | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(acceptor.handshake_seconds, self._too_late)

    def event(self, mux: Mux, event: Event) -> None:
        if isinstance(event, HelloReceived):
            self._tunnel = self._acceptor.admit(self, event.hello)
        elif self._tunnel is None:
            return
        elif isinstance(event, OfferReceived):
            self._deadline.cancel()
            self._acceptor.offer(self._tunnel, event.offer)
        elif isinstance(event, GoawayReceived):
            self._acceptor.leaving(self._tunnel)

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        stream.reset(ResetReason.NOT_ASSOCIATED)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        self._deadline.cancel()
        self._acceptor.gone(self, self._tunnel)

    def _too_late(self) -> None:
        _log.info("closing a session: it did not finish its handshake in time")
        self.mux.close(CloseCode.PROTOCOL, "protocol", ResetReason.PROTOCOL)
        if self.mux.ws is None:  # the upgrade was no proper one
            self._acceptor.gone(self, None)
