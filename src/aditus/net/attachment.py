"""One attachment of an agent or a sidecar to a relay: from the dial to the end of its session."""

import asyncio
import contextlib
import logging

from aditus.domain.errors import AditusError, Code
from aditus.net.link import ATTACH_SECONDS, Link, LinkFailure
from aditus.net.mux import Mux, MuxStream
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.events import Event, GoawayReceived, StatusReceived
from aditus.wire.frames import Offer, Status

_log = logging.getLogger(__name__)

LEAVE_SECONDS = 1.0
"""How long the end of a program waits for a relay that is told goodbye."""


class Attachment:
    """A session with a relay, and what the relay says of it. Made by `attach`, ended by `close`.

    Agents and sidecars make their own of it: what they offer, and what they do with what they are told.
    """

    longest_gap = 5.0
    """Seconds after a GOAWAY within which the next attachment is tried, at a random moment."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.mux: Mux | None = None
        self.status: Status | None = None
        self.grace = 0
        """Seconds that a relay which is leaving gives to running streams."""
        self._changed = asyncio.Event()  # registered, leaving or over
        self._leaving = False
        self._failure: LinkFailure | None = None

    def first_offer(self) -> Offer | None:
        """What is offered at once; None: nothing ever is."""
        return None

    @property
    def about(self) -> dict[str, object]:
        """What the log says of it besides the relay, when it is attached."""
        return {}

    async def attach(self) -> None:
        """Dial, prove, offer, and wait for the first STATUS. Raises `LinkFailure`."""
        self.mux = await self.link.attach(self, self.first_offer())
        try:
            async with asyncio.timeout(ATTACH_SECONDS):
                while self.status is None:
                    await self._wait()
        except TimeoutError:
            self.close()
            error = AditusError(Code.UNAVAILABLE, "no-status", f"{self.link.url.host} did not register us.")
            raise LinkFailure(error) from None

    async def until_leaving(self) -> None:
        """Return when the relay says that it will leave. Raises `LinkFailure` when the session is over."""
        while not self._leaving:
            await self._wait()

    def replaced(self) -> None:
        """Another attachment serves now, so that a leaving relay is needed no more."""

    async def hand_over(self) -> None:
        """Return when a leaving relay opens nothing more. Raises `LinkFailure`: its session is over."""

    async def until_quiet(self) -> None:
        """Wait until no stream is left."""
        if self.mux is not None:
            await self.mux.quiet.wait()

    def close(self) -> None:
        """Cut all streams and leave."""
        if self.mux is not None:
            self.mux.close(CloseCode.DRAIN, "drain", ResetReason.DRAIN)

    def warn(self, status: Status) -> None:
        """Log what the relay wants the operator to know."""
        for warning in status.warnings:
            _log.warning("the relay says: %s", warning)

    def told(self, status: Status) -> None:
        """The relay has sent a STATUS, which is `status` from now on."""

    async def leave(self) -> None:
        """As `close`, and return when the session is over, after `LEAVE_SECONDS` at the latest."""
        if self.mux is None or self.mux.ws is None:
            return
        self.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                while self.mux.ws is not None:
                    await self._changed.wait()
                    self._changed.clear()

    async def _wait(self) -> None:
        await self._changed.wait()
        self._changed.clear()
        if self._failure is not None:
            raise self._failure

    # --- SessionOwner --------------------------------------------------------------------------

    def event(self, mux: Mux, event: Event) -> None:
        if isinstance(event, StatusReceived):
            self.status = event.status
            self.warn(event.status)
            self.told(event.status)
        elif isinstance(event, GoawayReceived):
            self._leaving = True
            self.grace = event.grace
        self._changed.set()

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        stream.reset(ResetReason.PORT_NOT_OFFERED)

    def closed(self, mux: Mux, code: int | None, reason: str) -> None:
        if self._failure is None:  # else we left for a reason of our own
            self._failure = self.link.closed(code, reason)
        self._changed.set()
