"""Letting agents and sidecars in: the two-step proof, and the life of a session from its HELLO to its end.

Step (a), the bearer, decides the HTTP answer alone. Step (b), the signed challenge, decides whether a tunnel,
or a sidecar, is registered; checking the secret and registering happen in one step of the loop, so that a
revoke cannot fall between them. docs/wire-protocol.md, section 2.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus

from aditus.domain.policy import Denied, Verdict, attach_verdict, credential_verdict
from aditus.domain.ports import Verifier
from aditus.domain.relays import RelayKey
from aditus.net.door import Door
from aditus.net.mux import Mux, MuxStream, Resources
from aditus.net.ws import Refusal, Upgrade
from aditus.relay.app_ring import AppRing
from aditus.relay.keyring import Keyring
from aditus.relay.open import close_code, reset_reason
from aditus.relay.registry import Registry, Tunnel
from aditus.relay.report import Reporter
from aditus.relay.settings import RelaySettings
from aditus.relay.sidecars import Sidecar, Sidecars
from aditus.relay.source import source_of
from aditus.telemetry.log import fields
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.events import Event, GoawayReceived, HelloReceived, OfferReceived
from aditus.wire.frames import CHALLENGE_SIZE, SUBPROTOCOL, DialerHello, Offer, Role, attach_message
from aditus.wire.session import Session

_log = logging.getLogger(__name__)

TextOf = dict[str, str]
_MESSAGES: TextOf = {
    "bad-proof": "No valid proof of an access key, or of an app's credential, for this address.",
    "clock-skew": "The clock of the dialer is wrong; see Date.",
    "revoked": "The access key, or the app's credential, was revoked.",
    "expired": "The access key has expired.",
    "replaced": "The secret was replaced by a newer one.",
    "suspended": "The access key is suspended.",
    "address-not-allowed": "The access key's rules do not allow the address that this comes from.",
    "wrong-region": "The access key belongs to another region.",
    "no-such-url": "There is no such Connect URL.",
    "draining": "This relay is shutting down.",
}
_SIDECARS = "/attach"


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom a proof names, as far as this relay knows: a key, or an app's credential."""

    holder_id: str
    public_keys: tuple[bytes, ...]  # the newest first: it is the likeliest
    verdict: Callable[[bytes], Verdict]  # whether who proved this public key may be attached now
    connect_id: str = ""


@dataclass(frozen=True, slots=True)
class _Proven:
    """What a good bearer has shown, for the second step."""

    role: Role
    holder_id: str
    audience: str
    connect_id: str
    source: str


class Acceptor:
    """Decides upgrades and owns the sessions of agents and sidecars."""

    def __init__(
        self,
        settings: RelaySettings,
        keyring: Keyring,
        apps: AppRing,
        registry: Registry,
        sidecars: Sidecars,
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
        self._apps = apps
        self._registry = registry
        self._sidecars = sidecars
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
        """How long a dialer may take from the upgrade to its OFFER; a sidecar, to its HELLO."""
        return self._settings.handshake_seconds

    # --- step (a): the bearer decides the HTTP answer ------------------------------------------

    def decide(self, upgrade: Upgrade) -> Mux | Refusal:
        """101 as a `Mux`, or the refusal of docs/wire-protocol.md, section 2.1."""
        source = source_of(upgrade, self._settings.trusted_proxies)
        answer = self._decide(upgrade, source)
        if isinstance(answer, Refusal):
            return answer
        visit = _Visit(self, answer)
        self._visits.add(visit)
        return visit.mux

    def _decide(self, upgrade: Upgrade, source: str) -> _Proven | Refusal:
        if self.draining:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "draining", source, {"Retry-After": "1"})
        path = upgrade.path.partition("?")[0]
        role = Role.SIDECAR if path == _SIDECARS else Role.AGENT
        head, _, connect_id = path.removeprefix("/").partition("/")
        at = self._keyring.at(connect_id) if head == "connect" and connect_id else None
        scheme, _, bearer = upgrade.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            if at is not None or (path in ("/connect", _SIDECARS) and "Upgrade" in upgrade.headers):
                return self._refuse_stranger(source, HTTPStatus.UNAUTHORIZED, "bad-proof")
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        try:
            claims = self._verifier.claims(bearer.strip())
        except ValueError:
            claims = None
        if role is Role.AGENT and claims is not None and claims.region != self._settings.region:
            return self._refuse_stranger(source, HTTPStatus.FORBIDDEN, "wrong-region")
        holder = self._holder(role, claims.key_id, source) if claims is not None else None
        proven = "bad-proof" if holder is None else self._prove(bearer.strip(), holder)
        if holder is not None and isinstance(proven, bytes):
            verdict = holder.verdict(proven)
            if isinstance(verdict, Denied):
                return self._refuse_holder(role, holder, source, verdict.reason)
        if role is Role.AGENT and (head != "connect" or (connect_id and at is None)):
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        if holder is None or claims is None or not isinstance(proven, bytes):
            reason = proven if isinstance(proven, str) else "bad-proof"
            return self._refuse_stranger(source, HTTPStatus.UNAUTHORIZED, reason)
        if at is not None and at.key_id != holder.holder_id:
            return self._refuse_stranger(source, HTTPStatus.NOT_FOUND, "no-such-url")
        if upgrade.headers.get("Sec-WebSocket-Protocol") != SUBPROTOCOL:
            return Refusal(HTTPStatus.BAD_REQUEST, f"This relay speaks {SUBPROTOCOL} alone.")
        return _Proven(role, holder.holder_id, claims.audience, holder.connect_id, source)

    def _holder(self, role: Role, holder_id: str, source: str) -> _Holder | None:
        """The key or credential of this id, as it is now; None when it is not known here."""
        if role is Role.AGENT:
            key = self._keyring.get(holder_id)
            return None if key is None else _of_key(key, source)
        found = self._apps.credential(holder_id)
        if found is None:
            return None
        _, credential = found
        return _Holder(holder_id, (credential.public_key,), lambda _: credential_verdict(credential))

    def _prove(self, bearer: str, holder: _Holder) -> bytes | str:
        """The public key of the secret that signed the bearer for us, or why it was not accepted."""
        why = "bad-proof"
        for public_key in holder.public_keys:
            verdict = self._verifier.check_bearer(bearer, public_key, self._settings.audiences, time.time())
            if verdict.ok:
                return public_key
            if verdict.reason == "clock-skew":
                why = verdict.reason
        return why

    def _refuse_holder(self, role: Role, holder: _Holder, source: str, reason: str) -> Refusal:
        self._report_refusal(role, holder.holder_id, source, reason)
        return self._refuse(HTTPStatus.FORBIDDEN, reason, source)

    def _report_refusal(self, role: Role, holder_id: str, source: str, reason: str) -> None:
        if role is Role.AGENT:
            self._reporter.refused_key(holder_id, reason, source)
        else:  # the audit names keys alone; so it is counted with its source
            self._reporter.refused_stranger(reason, source)

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

    # --- step (b): the signed challenge decides whether there is a tunnel, or a sidecar --------

    def admit(self, visit: "_Visit", hello: DialerHello) -> Tunnel | Sidecar | None:
        """Check the secret as it is now, verify the signature, register: one step of the loop."""
        proven, mux = visit.proven, visit.mux
        holder = self._holder(proven.role, proven.holder_id, proven.source)
        if holder is None:  # revoked, and forgotten since the upgrade
            self._refused("revoked")
            mux.close(CloseCode.KEY_REFUSED, "revoked", ResetReason.REVOKED)
            return None
        message = attach_message(
            hello.role,
            visit.challenge,
            proven.connect_id,
            holder.holder_id,
            proven.audience,
            hello.instance,
        )
        signed = (
            one for one in holder.public_keys if self._verifier.check_signature(message, hello.signature, one)
        )
        public_key = next(signed, None)
        # Who signed with none of them is told the key's state as well: it has shown a good bearer.
        verdict = holder.verdict(holder.public_keys[0] if public_key is None else public_key)
        if isinstance(verdict, Denied):
            self._refused(verdict.reason)
            if public_key is not None:
                self._report_refusal(proven.role, holder.holder_id, proven.source, verdict.reason)
            mux.close(close_code(verdict), verdict.reason, reset_reason(verdict))
            return None
        if hello.role is not proven.role or public_key is None:
            self._refused("bad-proof")
            self._reporter.refused_stranger("bad-proof", proven.source)
            _log.warning("closing a session: its challenge was not signed by the secret of its bearer")
            mux.close(CloseCode.PROTOCOL, "protocol", ResetReason.PROTOCOL)
            return None
        if self.draining:  # since the upgrade
            mux.close(CloseCode.DRAIN, "drain", ResetReason.DRAIN)
            return None
        mux.session.admit(time.monotonic())
        if mux.ws is not None:
            self._door.leave(mux.ws.descriptor)
        if proven.role is Role.AGENT:
            return self._add_tunnel(visit, hello, public_key)
        return self._add_sidecar(visit, hello)

    def _add_tunnel(self, visit: "_Visit", hello: DialerHello, public_key: bytes) -> Tunnel:
        tunnel = Tunnel(
            tunnel_id=secrets.token_hex(8),
            key_id=visit.proven.holder_id,
            instance=hello.instance,
            slot=hello.slot,
            mux=visit.mux,
            program=hello.program,
            host=hello.host,
            peer=self._peer(visit),
            attached_at=time.time(),
            public_key=public_key,
            source=visit.proven.source,
        )
        superseded = self._registry.add(tunnel)
        if superseded is not None:
            superseded.mux.close(CloseCode.SUPERSEDED, "superseded", ResetReason.AGENT_LOST)
            self._removed(superseded)
        self._registered(tunnel)
        return tunnel

    def _add_sidecar(self, visit: "_Visit", hello: DialerHello) -> Sidecar | None:
        found = self._apps.credential(visit.proven.holder_id)
        if found is None:
            return None
        app, credential = found
        sidecar = Sidecar(
            sidecar_id=secrets.token_hex(8),
            app_id=app.app_id,
            credential_id=credential.credential_id,
            subscription_id=app.subscription_id,
            instance=hello.instance,
            slot=hello.slot,
            mux=visit.mux,
            program=hello.program,
            host=hello.host,
            peer=self._peer(visit),
            source=visit.proven.source,
            attached_at=time.time(),
        )
        superseded = self._sidecars.add(sidecar)
        if superseded is not None:
            superseded.mux.close(CloseCode.SUPERSEDED, "superseded", ResetReason.APP_RESET)
            self._sidecars.went(superseded)
        self._sidecars.came(sidecar)
        return sidecar

    def _peer(self, visit: "_Visit") -> str:
        ws = visit.mux.ws
        return visit.proven.source if self._settings.trusted_proxies or ws is None else ws.peer

    def offer(self, tunnel: Tunnel, offer: Offer) -> None:
        """An agent says what it offers."""
        self._offered(tunnel, offer)

    def open(self, sidecar: Sidecar, stream: MuxStream, source: str) -> None:
        """A sidecar opens a stream."""
        self._sidecars.opened(sidecar, stream, source)

    def leaving(self, member: Tunnel | Sidecar) -> None:
        """An agent or sidecar drains: its slot is free for its successor."""
        if isinstance(member, Tunnel):
            self._registry.free_slot(member)
        else:
            self._sidecars.free_slot(member)

    def gone(self, visit: "_Visit", member: Tunnel | Sidecar | None) -> None:
        """A session is over, or never began."""
        self._visits.discard(visit)
        if isinstance(member, Tunnel) and self._registry.remove(member):
            self._removed(member)
        elif isinstance(member, Sidecar) and self._sidecars.remove(member):
            self._sidecars.went(member)

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
        lost = ResetReason.AGENT_LOST if visit.proven.role is Role.AGENT else ResetReason.APP_RESET
        return Mux(session, visit, self._resources, lost)


class _Visit:
    """One session of a dialer: first a stranger with a good bearer, then a tunnel or a sidecar."""

    def __init__(self, acceptor: Acceptor, proven: _Proven) -> None:
        self.proven = proven
        self.challenge = secrets.token_bytes(CHALLENGE_SIZE)
        self.mux = acceptor.mux(self, acceptor.session(self.challenge, proven.connect_id))
        self._acceptor = acceptor
        self._member: Tunnel | Sidecar | None = None
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(acceptor.handshake_seconds, self._too_late)

    def event(self, mux: Mux, event: Event) -> None:
        member = self._member
        if isinstance(event, HelloReceived):
            self._member = self._acceptor.admit(self, event.hello)
            if isinstance(self._member, Sidecar):
                self._deadline.cancel()
        elif isinstance(event, OfferReceived) and isinstance(member, Tunnel):
            self._deadline.cancel()
            self._acceptor.offer(member, event.offer)
        elif isinstance(event, GoawayReceived) and member is not None:
            self._acceptor.leaving(member)

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        if isinstance(self._member, Sidecar):
            self._acceptor.open(self._member, stream, source)
        else:
            stream.reset(ResetReason.NOT_ASSOCIATED)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        self._deadline.cancel()
        self._acceptor.gone(self, self._member)

    def _too_late(self) -> None:
        _log.info("closing a session: it did not finish its handshake in time")
        self.mux.close(CloseCode.PROTOCOL, "protocol", ResetReason.PROTOCOL)
        if self.mux.ws is None:  # the upgrade was no proper one
            self._acceptor.gone(self, None)


def _of_key(key: RelayKey, source: str) -> _Holder:
    newest_first = tuple(secret.public_key for secret in reversed(key.secrets))

    def verdict(public_key: bytes) -> Verdict:
        return attach_verdict(key, public_key, source, time.time())

    return _Holder(key.key_id, newest_first, verdict, key.connect_id)
