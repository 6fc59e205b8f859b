"""One attachment of an agent to a relay: from the dial to the end of its session."""

import asyncio
import logging

from aditus.agent.dialer import Dialer
from aditus.domain.errors import AditusError, Code
from aditus.net.link import ATTACH_SECONDS, Link, LinkFailure
from aditus.net.mux import Mux, MuxStream
from aditus.telemetry.log import fields
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.events import Event, GoawayReceived, StatusReceived
from aditus.wire.frames import Offer, Status

_log = logging.getLogger(__name__)


class Attachment:
    """A session with a relay, and what the relay says of it. Made by `attach`, ended by `close`."""

    def __init__(self, link: Link, dialer: Dialer) -> None:
        self.link = link
        self.mux: Mux | None = None
        self.status: Status | None = None
        self.grace = 0
        """Seconds that a relay which is leaving gives to running streams."""
        self._dialer = dialer
        self._changed = asyncio.Event()  # registered, leaving or over
        self._revision = 0  # of the last offer
        self._offers_again = False  # once the relay has answered it
        self._leaving = False
        self._replaced = False  # while leaving: another attachment serves
        self._failure: LinkFailure | None = None

    async def attach(self) -> None:
        """Dial, prove, offer, and wait for the first STATUS. Raises `LinkFailure`."""
        self._revision = 1
        self.mux = await self.link.attach(self, self._dialer.offer(1))
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                while self.status is None:
                    await self._wait()
        except TimeoutError:
            self.close()
            error = AditusError(Code.UNAVAILABLE, "no-status", f"{self.link.url.host} did not register us.")
            raise LinkFailure(error) from None

    def offer(self) -> None:
        """What the dialer offers has changed: tell the relay, as soon as it has answered the last offer."""
        if self.mux is None or self._leaving:
            return
        if self.status is None or self.status.revision != self._revision:
            self._offers_again = True
            return
        self._revision += 1
        self.mux.session.send_offer(self._dialer.offer(self._revision))
        self.mux.flush_soon()

    def cut(self, ports: set[int]) -> None:
        """End the streams of these app ports."""
        for stream in self.mux.streams if self.mux is not None else ():
            if stream.port in ports:
                stream.cut(ResetReason.PORT_NOT_OFFERED)

    async def until_leaving(self) -> None:
        """Return when the relay says that it will leave. Raises `LinkFailure` when the session is over."""
        while not self._leaving:
            await self._wait()

    def replaced(self) -> None:
        """Another attachment serves now: if the relay of this one is leaving, it need open no more here."""
        if self._leaving:
            self._replaced = True
            self._changed.set()

    async def hand_over(self) -> None:
        """Once it is replaced, offer nothing, and return when the relay knows that and opens no more.

        Raises `LinkFailure` when the session is over.
        """
        while not (self._replaced and self.status is not None and self.status.revision == self._revision):
            await self._wait()
        if self.mux is not None:
            self._revision += 1
            self.mux.session.send_offer(Offer(self._revision, ()))
            self.mux.flush_soon()
        while self.status.revision != self._revision:
            await self._wait()

    async def until_quiet(self) -> None:
        """Wait until no stream is left."""
        if self.mux is not None:
            await self.mux.quiet.wait()

    def close(self) -> None:
        """Cut all streams and leave."""
        if self.mux is not None:
            self.mux.close(CloseCode.DRAIN, "drain", ResetReason.DRAIN)

    async def _wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()
        if self._failure is not None:
            raise self._failure

    # --- SessionOwner --------------------------------------------------------------------------

    def event(self, mux: Mux, event: Event) -> None:
        if isinstance(event, StatusReceived):
            self.status = event.status
            self._log_status(event.status)
            if self._offers_again and event.status.revision == self._revision:
                self._offers_again = False
                self.offer()
        elif isinstance(event, GoawayReceived):
            self._leaving = True
            self.grace = event.grace
        self._changed.set()

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        self._dialer.open(stream, port)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        self._failure = self.link.closed(code, reason)
        self._changed.set()

    def _log_status(self, status: Status) -> None:
        for entry in status.ports:
            if not entry.verdict.accepted:
                _log.warning(
                    "the relay does not serve a port: %s",
                    entry.detail or entry.verdict.token,
                    extra=fields(port=entry.port, verdict=entry.verdict.token),
                )
        for warning in status.warnings:
            _log.warning("the relay says: %s", warning)
