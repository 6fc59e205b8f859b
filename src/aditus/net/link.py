"""A link: dialling a relay, proving the key, and saying of each failure what follows from it.

Agents and sidecars use the same link. What a failure means (stop, wait, try again) is decided here, where
it is born; nobody guesses later from its text.
"""

import asyncio
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum, auto

from aditus import __version__
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.ports import Signer
from aditus.net import refusals, ws
from aditus.net.mux import Mux, MuxStream, Resources, SessionOwner
from aditus.net.proxy import ProxyFailed
from aditus.net.reach import Stuck, reach
from aditus.net.tls import is_of_tomorrow, refuses_ours, says_time
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.events import ChallengeReceived, Event
from aditus.wire.frames import Offer, Role, attach_message
from aditus.wire.session import Session

DIAL_SECONDS = 20.0
"""How long DNS, TCP, proxy, TLS and the upgrade may take together."""
ATTACH_SECONDS = 10.0
"""How long the relay may take from the upgrade to the first STATUS."""
SKEWED_SECONDS = 1.0
"""From learning the relay's time to trying with it."""
SUSPENDED_SECONDS = 30.0
"""How often a key is tried again that is suspended, or not allowed from here."""
FIRST_RETRY_SECONDS = 5.0
"""The first retry comes after 0 to 5 s, so that the agents of a restarted relay spread out."""
LONGEST_RETRY_SECONDS = 60.0
WINDOWS = (5.0, 12.0, 26.0, 56.0)
"""Who was attached dials once in each of these windows of time since the loss, at a random moment of it (the
numbers are their ends, in seconds), and later every 20 to 60 s. So no second has many more dials than those
beside it, whenever the relay is back; all are back by the end of the next window, and within a minute."""
LONGEST_TOLD_SECONDS = 300.0
"""No `Retry-After` keeps an agent away for longer."""
CLOCK_REMEDY = "Set the clock, by NTP; if it is right, whoever runs the relay has to renew the certificate."
CLIENT_CERT_REMEDY = "Have whoever runs it issue one, and give it with --client-cert and --client-key."


class Follow(Enum):
    """What follows from a failure."""

    RETRY = auto()  # try again, after a back-off
    WAIT = auto()  # try again after `LinkFailure.delay`
    QUEUE = auto()  # try again after `LinkFailure.delay` and a back-off: many others are told the same
    STOP = auto()  # Aditus itself said that trying again is of no use
    LEAVE = auto()  # superseded by our own newer session: stop this link quietly


class LinkFailure(Exception):
    """A link that is not up, or no longer: why, and what follows."""

    def __init__(
        self,
        error: AditusError,
        follow: Follow = Follow.RETRY,
        *,
        delay: float = 0.0,
        tls: bool = False,
        closed_by_relay: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.follow = follow
        self.delay = delay  # seconds
        self.tls = tls  # the certificate is not trusted: hopeless before the first attach
        self.closed_by_relay = closed_by_relay  # it was attached, and the relay ended it


class Backoff:
    """How long to wait before the next try: jittered, from 0–5 s up to a minute."""

    def __init__(self) -> None:
        self._failures = 0
        self._was_up = False
        self._waited = 0.0  # seconds since the link was lost

    def reset(self) -> None:
        """The link was up. When it is lost, so are those of others."""
        self._failures = 0
        self._was_up = True
        self._waited = 0.0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        delay = self._next(self._failures)
        self._failures += 1
        self._waited += delay
        return delay

    def _next(self, failures: int) -> float:
        if not failures:
            return random.uniform(0, FIRST_RETRY_SECONDS)  # noqa: S311  not for secrets
        if not self._was_up:
            longest = min(LONGEST_RETRY_SECONDS, 2.0 ** min(failures + 1, 10))
            return random.uniform(1, longest)  # noqa: S311
        if failures < len(WINDOWS):
            moment = random.uniform(WINDOWS[failures - 1], WINDOWS[failures])  # noqa: S311
            return max(1.0, moment - self._waited)
        return random.uniform(LONGEST_RETRY_SECONDS / 3, LONGEST_RETRY_SECONDS)  # noqa: S311


@dataclass(slots=True)
class Link:
    """One slot of an agent or sidecar at one relay: dials it, and proves the key to it."""

    url: ConnectUrl
    role: Role
    signer: Signer
    instance: bytes
    slot: int
    tls: ssl.SSLContext
    resources: Resources
    proxy: str | None = None
    clock_offset: float = 0.0
    """Seconds that the relay's clock is ahead of ours, learnt from its `Date`."""
    _wants_certificate: bool | None = None
    """Whether what hangs up on us wants a client certificate; None: nobody has looked yet."""

    async def attach(self, owner: SessionOwner, offer: Offer | None = None) -> Mux:
        """Dial and answer the challenge; the offer follows. Registered when the owner sees the first STATUS.

        Raises `LinkFailure`. The caller closes the mux, whatever happens afterwards.
        """
        session = Session.dialer(
            self.role, self.resources.session_budget(), self.resources.limits, time.monotonic()
        )
        handshake = _Handshake(self, owner, offer)
        mux = Mux(session, handshake, self.resources, ResetReason.AGENT_LOST)
        await self._dial(mux, mux.abandon)
        return mux

    async def prove(self) -> None:
        """Ask whether the relay accepts the key: hang up before the challenge is answered.

        No tunnel comes of it. A clock that is wrong is corrected, and told by `clock_offset`. Raises
        `LinkFailure`.
        """
        try:
            await self._visit()
        except LinkFailure as failure:
            if failure.error.reason != "clock-skew":
                raise
            await self._visit()  # with the relay's time, which it has just told

    async def _visit(self) -> None:
        visitor = _Visitor()
        websocket = await self._dial(visitor, visitor.abandon)
        websocket.close(CloseCode.DRAIN, "")
        await visitor.gone

    async def _dial(self, handler: ws.MessageHandler, abandon: Callable[[], None]) -> ws.WebSocket:
        """Dial with a proof of the key. `abandon` is called when nobody waits for the WebSocket any more."""
        url = f"wss://{self.url.relay.audience}{self.path}"
        bearer = self.signer.bearer(self.url.audience, time.time() + self.clock_offset)
        headers = {"Authorization": f"Bearer {bearer}"}
        try:
            async with asyncio.timeout(DIAL_SECONDS):
                websocket = await ws.dial(url, self.tls, headers, handler, self.proxy)
        except ws.Refused as refused:
            raise self._refused(refused) from None
        except ws.HungUp as error:
            abandon()
            if self._wants_certificate is None:
                self._wants_certificate = await self._is_for_want_of_a_certificate()
            raise (self._no_certificate() if self._wants_certificate else self._unreachable(error)) from None
        except (ws.NotAditus, ProxyFailed, OSError, ssl.SSLError, EOFError) as error:
            abandon()
            raise self._unreachable(error) from error
        except asyncio.CancelledError:
            abandon()
            raise
        self._wants_certificate = None
        return websocket

    async def _is_for_want_of_a_certificate(self) -> bool:
        """Ask without a proof, once. With TLS 1.3 the alert comes after the handshake: picows drops it."""
        try:
            await reach(self.url.host, self.url.port, "/", self.tls, self.proxy)
        except Stuck as stuck:
            return stuck.wants_certificate
        return False

    def _no_certificate(self) -> LinkFailure:
        error = AditusError(
            Code.UNAVAILABLE,
            "client-certificate",
            f"What ends TLS at {self.url.audience} wants a client certificate that it trusts.",
            remedy=CLIENT_CERT_REMEDY,
        )
        return LinkFailure(error)

    @property
    def path(self) -> str:
        """What is asked of the relay: agents `/connect…`, sidecars `/attach`."""
        return self.url.path if self.role is Role.AGENT else "/attach"

    def closed(self, code: int | None, reason: str) -> LinkFailure:
        """What follows from the end of a session: the close code table of docs/wire-protocol.md."""
        final = refusals.FINAL[self.role]
        if code == CloseCode.KEY_REFUSED and reason in final:
            return LinkFailure(final[reason], Follow.STOP, closed_by_relay=True)
        if code == CloseCode.SUSPENDED:
            refusal = refusals.REVERSIBLE.get(reason, refusals.SUSPENDED)
            return LinkFailure(refusal, Follow.WAIT, delay=_jittered(SUSPENDED_SECONDS))
        if code == CloseCode.SUPERSEDED:
            error = AditusError(
                Code.CONFLICT, "superseded", "A newer session of this program took its place."
            )
            return LinkFailure(error, Follow.LEAVE)
        if code == CloseCode.OVERLOADED:
            error = AditusError(Code.UNAVAILABLE, "overloaded", f"The relay {self.url.host} is overloaded.")
            return LinkFailure(error, Follow.QUEUE, delay=_jittered(SUSPENDED_SECONDS))
        if code == CloseCode.DRAIN:
            error = AditusError(Code.UNAVAILABLE, "drain", f"The relay {self.url.host} is shutting down.")
            return LinkFailure(error)
        why = f"with code {code}" if code is not None else "without a word"
        error = AditusError(
            Code.UNAVAILABLE, "link-lost", f"The connection to {self.url.audience} ended {why}."
        )
        return LinkFailure(error)

    def _refused(self, refused: ws.Refused) -> LinkFailure:
        reason = refused.headers.get("Aditus-Reason", "")
        if not reason and refused.wants_certificate:
            return self._no_certificate()
        if not reason:
            error = AditusError(
                Code.UNAVAILABLE,
                "not-the-relay",
                f"Not the relay, but something else answered at {self.url.audience}: HTTP {refused.status}.",
                remedy="Look at the proxy or load balancer between here and the relay.",
            )
            return LinkFailure(error)
        if reason == "clock-skew":
            return self._skewed(refused.headers)
        if reason in refusals.FINAL[self.role]:
            return LinkFailure(refusals.FINAL[self.role][reason], Follow.STOP)
        if reason in refusals.REVERSIBLE:
            return LinkFailure(refusals.REVERSIBLE[reason], Follow.WAIT, delay=_jittered(SUSPENDED_SECONDS))
        if reason == "no-such-url":
            return LinkFailure(refusals.no_such_url(self.role, self.url.audience), Follow.STOP)
        why = "shutting down" if reason == "draining" else "busy"
        error = AditusError(Code.UNAVAILABLE, reason[:32], f"The relay {self.url.audience} is {why}.")
        delay = _retry_after(refused.headers)
        return LinkFailure(error, Follow.QUEUE, delay=delay) if delay else LinkFailure(error)

    def _skewed(self, headers: Mapping[str, str]) -> LinkFailure:
        error = AditusError(
            Code.UNAVAILABLE,
            "clock-skew",
            "The clock of this machine is wrong; the relay's is used for proofs.",
            remedy="Set the clock, by NTP.",
        )
        try:
            now = parsedate_to_datetime(headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            return LinkFailure(error)
        before, self.clock_offset = self.clock_offset, now - time.time()
        if abs(self.clock_offset - before) < 1:  # corrected already, and still refused
            return LinkFailure(error)
        return LinkFailure(error, Follow.WAIT, delay=SKEWED_SECONDS)

    def _unreachable(self, error: Exception) -> LinkFailure:
        where = self.url.audience
        if isinstance(error, ssl.SSLCertVerificationError) and (why := says_time(error)):
            failure = AditusError(
                Code.UNAVAILABLE,
                "untrusted-relay",
                f"The certificate of {where} is not trusted: {why}.",
                remedy=CLOCK_REMEDY,
            )
            # One of tomorrow is not hopeless: machines start before they know the time.
            return LinkFailure(failure, tls=not is_of_tomorrow(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            failure = AditusError(
                Code.UNAVAILABLE,
                "untrusted-relay",
                f"The certificate of {where} is not trusted: {error.verify_message}.",
                remedy="Give its CA with --ca-file or SSL_CERT_FILE, or check the host name.",
            )
            return LinkFailure(failure, tls=True)
        if isinstance(error, ProxyFailed) and error.wants_password:
            failure = AditusError(
                Code.UNAVAILABLE,
                "proxy-password",
                f"The proxy on the way to {where} asks for another user and password.",
                remedy="Give them as --proxy http://user:password@host:port, or in HTTPS_PROXY.",
            )
            return LinkFailure(failure)
        if isinstance(error, ssl.SSLError) and refuses_ours(error):
            return self._no_certificate()
        if isinstance(error, ssl.SSLError):
            why = f"TLS failed ({error.reason or 'no reason given'})"
        elif isinstance(error, socket.gaierror):
            why = "its name has no address"
        elif isinstance(error, TimeoutError):
            why = "it did not answer in time"
        elif isinstance(error, ws.NotAditus | ProxyFailed):
            why = str(error)
        else:
            number = getattr(error, "errno", None)  # asyncio's own text would only name the address again
            why = (os.strerror(number) if number else str(error) or "the connection was closed").lower()
        message = f"The relay {where} cannot be reached: {why}."
        remedy = "Check the address, the network and the proxy settings."
        if isinstance(error, ssl.SSLError):  # the alert of TLS 1.2 for it is that for many things
            remedy += " If a client certificate is wanted there: --client-cert."
        return LinkFailure(AditusError(Code.UNAVAILABLE, "unreachable", message, remedy=remedy))


class _Handshake:
    """Answers the challenge; everything else is the owner's business."""

    def __init__(self, link: Link, owner: SessionOwner, offer: Offer | None) -> None:
        self._link = link
        self._owner = owner
        self._offer = offer

    def event(self, mux: Mux, event: Event) -> None:
        if not isinstance(event, ChallengeReceived):
            self._owner.event(mux, event)
            return
        link, hello = self._link, event.hello
        message = attach_message(
            link.role,
            hello.challenge,
            hello.connect_id,
            link.signer.key_id,
            link.url.audience,
            link.instance,
        )
        mux.session.answer(
            link.slot, link.instance, link.signer.sign(message), f"aditus/{__version__}", socket.gethostname()
        )
        if self._offer is not None:
            mux.session.send_offer(self._offer)

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        self._owner.opened(mux, stream, port, source)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        self._owner.closed(mux, code, reason)


class _Visitor:
    """Who looks whether the door opens, listens to nothing, and goes."""

    def __init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._abandoned = False

    def abandon(self) -> None:
        """Nobody waits for the WebSocket any more: should it still open, it is dropped."""
        self._abandoned = True

    def connected(self, ws: ws.WebSocket) -> None:
        if self._abandoned:
            ws.abort()

    def message(self, message: memoryview) -> None:
        """The challenge stays unanswered."""

    def violated(self, what: str) -> None:
        """It is closed anyway."""

    def writable(self) -> None:
        """There is nothing to send."""

    def closed(self, code: int | None, reason: str) -> None:
        if not self.gone.done():
            self.gone.set_result(None)


def _jittered(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the relay asks for, jittered upwards; 0 when it does not say."""
    text = headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return 0.0
    return min(float(text[:9]), LONGEST_TOLD_SECONDS) * random.uniform(1.0, 1.5)  # noqa: S311
