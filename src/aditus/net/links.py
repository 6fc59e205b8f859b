"""Keeps links to relays up: tried again as each failure says, until told to stop.

Agents and sidecars alike; what they do with an attachment is their own affair.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aditus.domain.errors import AditusError
from aditus.net.attachment import Attachment
from aditus.net.link import Backoff, Follow, Link, LinkFailure
from aditus.telemetry.link_metrics import LinkFigures
from aditus.telemetry.log import fields
from aditus.telemetry.status import LinkRow
from aditus.wire.frames import Role

_log = logging.getLogger(__name__)

FAILURES_BEFORE_FIRST_ATTACH = 10
"""Failures after which a link that was never up is given up, unless it is to be tried for ever."""
BRIEF_SECONDS = 1.0
"""A relay that leaves sooner after letting us in is not asked again without a pause."""
ASK_AGAIN_SECONDS = 300.0
"""How often, with infinite retries, is asked again after the relay cut us off for the secret's sake."""

A = TypeVar("A", bound=Attachment)


@dataclass(slots=True)
class Keeper(Generic[A]):
    """What is known of one link now, for the status line and for `/readyz`."""

    link: Link
    state: str = "connecting"
    note: str = ""
    since: float = field(default_factory=time.time)
    attachment: A | None = None
    failures: int = 0
    attaches: int = 0  # since the start
    cut_off: bool = False  # the relay ended its last session for its secret's sake
    moves: bool = False  # its relay leaves, and nothing has failed since
    backoff: Backoff = field(default_factory=Backoff)

    def enter(self, state: str, note: str = "") -> None:
        """The link is in this state from now on."""
        if state != self.state:
            self.since = time.time()
        self.state, self.note = state, note


@dataclass(frozen=True, slots=True)
class Totals:
    """What all attachments carried since the start; bytes are payload."""

    streams: int  # open now
    streams_total: int
    received: int
    sent: int


class Links(Generic[A]):
    """The links of one program. `run` them in a task, cancel the task to stop them."""

    def __init__(
        self,
        links: Sequence[Link],
        make: Callable[[Link], A],
        *,
        infinite_retries: bool = False,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.keepers: list[Keeper[A]] = [Keeper(link) for link in links]
        self.attached: set[A] = set()
        """Those that are up, those of leaving relays too."""
        self.changed: Callable[[], None] = lambda: None
        """Told when a link came up, went down, or moves."""
        self._make = make
        self._infinite_retries = infinite_retries
        self._pause = pause  # between two tries, in seconds
        self._finished = Totals(0, 0, 0, 0)

    async def run(self, tasks: asyncio.TaskGroup) -> AditusError:
        """Stay attached. Returns only when the last link has stopped for good, with the reason."""
        kept = [tasks.create_task(self._keep(keeper, tasks)) for keeper in self.keepers]
        ends = [await ended for ended in asyncio.as_completed(kept)]
        return ends[-1]

    async def _keep(self, keeper: Keeper[A], tasks: asyncio.TaskGroup) -> AditusError:
        while True:
            attachment = self._make(keeper.link)
            keeper.enter("connecting", keeper.note)
            try:
                await self._serve(keeper, attachment)
                keeper.attachment = None
                keeper.moves = True
                tasks.create_task(self._drain(attachment))
                brief = time.time() - keeper.since < BRIEF_SECONDS
                keeper.enter("waiting", "drain")
                self.changed()
                first = keeper.backoff.next()  # others do the same
                await self._pause(
                    first if brief else min(first, attachment.grace / 2, attachment.longest_gap)
                )
            except LinkFailure as failure:
                keeper.attachment = None
                keeper.moves = False
                await attachment.leave()  # where we are the ones to go
                self._forget(attachment)
                delay = self._delay_after(keeper, failure)
                if delay is None:
                    keeper.enter("stopped", failure.error.reason)
                    self.changed()
                    return failure.error
                keeper.enter("waiting", failure.error.reason)
                self.changed()
                _log.warning(
                    "%s",
                    failure.error,
                    extra=fields(reason=failure.error.reason, retry_in=f"{delay:.1f}s"),
                )
                await self._pause(delay)
            except asyncio.CancelledError:
                await attachment.leave()
                raise

    async def _serve(self, keeper: Keeper[A], attachment: A) -> None:
        """Attach, and serve until the relay says that it will leave. Raises `LinkFailure`."""
        await attachment.attach()
        self.attached.add(attachment)
        keeper.attachment = attachment
        keeper.enter("attached")
        keeper.moves = False
        keeper.attaches += 1
        keeper.cut_off = False
        keeper.failures = 0
        keeper.backoff.reset()
        for other in self.attached - {attachment}:
            other.replaced()
        _log.info("attached", extra=fields(relay=keeper.link.url.audience, **attachment.about))
        self.changed()
        await attachment.until_leaving()
        _log.info("the relay is leaving, attaching again", extra=fields(relay=keeper.link.url.audience))

    async def _drain(self, attachment: A) -> None:
        """Once another relay serves, let the streams of a leaving one finish, within the grace it gives."""
        if self.is_up:
            attachment.replaced()
        try:
            async with asyncio.timeout(attachment.grace):
                await attachment.hand_over()
                await attachment.until_quiet()
        except TimeoutError:
            _log.info("the grace of a leaving relay has ended")
        except LinkFailure as failure:
            _log.info("the relay has left: %s", failure.error)
        finally:
            attachment.close()
            self._forget(attachment)

    def _forget(self, attachment: A) -> None:
        """Keep its counts alone."""
        if attachment in self.attached and attachment.mux is not None:
            self.attached.discard(attachment)
            mux, finished = attachment.mux, self._finished
            self._finished = Totals(
                0,
                finished.streams_total + mux.streams_total,
                finished.received + mux.bytes_received,
                finished.sent + mux.bytes_sent,
            )

    def _delay_after(self, keeper: Keeper[A], failure: LinkFailure) -> float | None:
        """Seconds until the next try, or None to stop for good."""
        infinite = self._infinite_retries
        if failure.follow is Follow.LEAVE:
            return None
        if failure.follow is Follow.STOP:
            keeper.cut_off = keeper.cut_off or failure.closed_by_relay
            return ASK_AGAIN_SECONDS if keeper.cut_off and infinite else None
        if failure.follow is Follow.WAIT:
            return failure.delay
        if failure.follow is Follow.QUEUE:
            return failure.delay + keeper.backoff.next()
        keeper.failures += 1
        hopeless = failure.tls or keeper.failures >= FAILURES_BEFORE_FIRST_ATTACH
        if hopeless and not (keeper.attaches or infinite):
            return None
        return keeper.backoff.next()

    # --- what is going on ----------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether a relay that does not leave serves us now."""
        return any(keeper.attachment for keeper in self.keepers)

    @property
    def moves(self) -> bool:
        """Whether a relay leaves, and the next attachment is on its way."""
        return any(keeper.moves for keeper in self.keepers)

    def in_words(self) -> str:
        """The state of each link, for people."""
        return ", ".join(f"{k.link.url.audience} {k.state} {k.note}".strip() for k in self.keepers)

    def totals(self) -> Totals:
        """What was carried, and what is open now."""
        muxes = [attachment.mux for attachment in self.attached if attachment.mux is not None]
        finished = self._finished
        return Totals(
            sum(mux.session.streams for mux in muxes),
            finished.streams_total + sum(mux.streams_total for mux in muxes),
            finished.received + sum(mux.bytes_received for mux in muxes),
            finished.sent + sum(mux.bytes_sent for mux in muxes),
        )

    def figures(self) -> list[LinkFigures]:
        """One for each link, for metrics."""
        return [_figures(keeper) for keeper in self.keepers]

    def rows(self) -> list[LinkRow]:
        """One row per link, for the status line."""
        return [_row(keeper) for keeper in self.keepers]


def _row(keeper: Keeper[A]) -> LinkRow:
    attachment, relay = keeper.attachment, keeper.link.url.audience
    if attachment is None or attachment.mux is None or attachment.status is None:
        return LinkRow(relay, keeper.state, "", 0, 0, 0, None, keeper.since, keeper.note)
    mux = attachment.mux
    to_relay, from_relay = mux.bytes_sent, mux.bytes_received
    at_services = keeper.link.role is Role.AGENT
    ports = " ".join(
        str(entry.port) if entry.verdict.accepted else f"{entry.port}({entry.verdict.token})"
        for entry in attachment.status.ports
    )
    return LinkRow(
        relay=relay,
        state=keeper.state,
        ports=ports,
        streams=mux.session.streams,
        bytes_in=from_relay if at_services else to_relay,
        bytes_out=to_relay if at_services else from_relay,
        rtt_ms=mux.session.rtt * 1000 or None,
        since=keeper.since,
        note=keeper.note,
    )


def _figures(keeper: Keeper[A]) -> LinkFigures:
    mux = keeper.attachment.mux if keeper.attachment is not None else None
    return LinkFigures(
        relay=keeper.link.url.audience,
        slot=keeper.link.slot,
        is_up=mux is not None,
        attaches=keeper.attaches,
        rtt_seconds=(mux.session.rtt or None) if mux is not None else None,
        certificate_ends_at=mux.ws.certificate_ends_at if mux is not None and mux.ws is not None else None,
    )
