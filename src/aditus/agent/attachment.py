"""An agent's attachment to a relay: what it offers there, and the streams that come of it."""

import logging

from aditus.agent.dialer import Dialer
from aditus.net.attachment import Attachment
from aditus.net.link import Link
from aditus.net.mux import Mux, MuxStream
from aditus.telemetry.log import fields
from aditus.wire.errors import ResetReason
from aditus.wire.frames import Offer, Status

_log = logging.getLogger(__name__)


class AgentAttachment(Attachment):
    """Offers what the dialer has, anew whenever that changes."""

    def __init__(self, link: Link, dialer: Dialer) -> None:
        super().__init__(link)
        self._dialer = dialer
        self._revision = 0  # of the last offer
        self._offers_again = False  # once the relay has answered it
        self._replaced = False  # while leaving: another attachment serves

    def first_offer(self) -> Offer:
        self._revision = 1
        return self._dialer.offer(1)

    @property
    def about(self) -> dict[str, object]:
        return {"ports": self._dialer.ports}

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

    def replaced(self) -> None:
        if self._leaving:
            self._replaced = True
            self._changed.set()

    async def hand_over(self) -> None:
        """Once it is replaced, offer nothing, and return when the relay knows that and opens no more."""
        while not (self._replaced and self.status is not None and self.status.revision == self._revision):
            await self._wait()
        if self.mux is not None:
            self._revision += 1
            self.mux.session.send_offer(Offer(self._revision, ()))
            self.mux.flush_soon()
        while self.status.revision != self._revision:
            await self._wait()

    def told(self, status: Status) -> None:
        for entry in status.ports:
            if not entry.verdict.accepted:
                _log.warning(
                    "the relay does not serve a port: %s",
                    entry.detail or entry.verdict.token,
                    extra=fields(port=entry.port, verdict=entry.verdict.token),
                )
        if self._offers_again and status.revision == self._revision:
            self._offers_again = False
            self.offer()

    def opened(self, mux: Mux, stream: MuxStream, port: int, source: str) -> None:
        self._dialer.open(stream, port)
