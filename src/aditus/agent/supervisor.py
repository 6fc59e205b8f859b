"""Keeps an agent attached: its links to each relay, tried again as each failure says, until told to stop."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from aditus.agent.attachment import Attachment
from aditus.agent.dialer import Dialer
from aditus.agent.settings import FAILURES_BEFORE_FIRST_ATTACH, AgentSettings
from aditus.agent.status import LinkRow
from aditus.domain.errors import AditusError
from aditus.domain.ports import Signer
from aditus.domain.spec import Spec
from aditus.net.link import Backoff, Follow, Link, LinkFailure
from aditus.net.mux import Resources
from aditus.telemetry.agent_metrics import AgentFigures, LinkFigures
from aditus.telemetry.log import fields
from aditus.wire.frames import INSTANCE_SIZE, Role

_log = logging.getLogger(__name__)

BRIEF_SECONDS = 1.0
"""A relay that leaves sooner after letting us in is not asked again without a pause."""
ASK_AGAIN_SECONDS = 300.0
"""How often an agent with infinite retries asks again after the relay cut it off for its key."""


@dataclass(slots=True)
class _Keeper:
    """What is known of one link now, for the status line and for `/readyz`."""

    link: Link
    state: str = "connecting"
    note: str = ""
    since: float = field(default_factory=time.time)
    attachment: Attachment | None = None
    failures: int = 0
    attaches: int = 0  # since the start
    cut_off: bool = False  # the relay ended its last session for its key's sake
    backoff: Backoff = field(default_factory=Backoff)

    def enter(self, state: str, note: str = "") -> None:
        """The link is in this state from now on."""
        if state != self.state:
            self.since = time.time()
        self.state, self.note = state, note


class Agent:
    """The agent's program, without its process: `run` it in a task, cancel the task to stop it."""

    def __init__(
        self,
        settings: AgentSettings,
        signer: Signer,
        tls: ssl.SSLContext,
        resources: Resources,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._pause = pause  # between two tries, in seconds
        instance = secrets.token_bytes(INSTANCE_SIZE)
        self._keepers = [
            _Keeper(
                Link(url, Role.AGENT, signer, instance, slot, tls, resources, settings.proxies.get(url.relay))
            )
            for url in settings.urls
            for slot in range(settings.links)
        ]
        self._dialer: Dialer | None = None
        self._attached: set[Attachment] = set()  # those of leaving relays too
        self._finished_streams = 0
        self._finished_bytes = [0, 0]  # from the apps, to them

    async def run(self) -> AditusError:
        """Stay attached. Returns only when the last link has stopped for good, with the reason."""
        async with asyncio.TaskGroup() as tasks:
            self._dialer = Dialer(self._settings, tasks)
            keepers = [tasks.create_task(self._keep(keeper, self._dialer, tasks)) for keeper in self._keepers]
            ends = [await ended for ended in asyncio.as_completed(keepers)]
            self._dialer.close()
        return ends[-1]

    def offer(self, specs: Sequence[Spec]) -> None:
        """Offer these services from now on.

        Streams of an app port that leads elsewhere now, or nowhere, are cut; no other one notices.
        """
        self._settings = replace(self._settings, specs=tuple(specs))
        if self._dialer is None:  # it begins with them
            return
        moved = self._dialer.change(specs)
        for attachment in self._attached:
            attachment.cut(moved)
            attachment.offer()

    async def _keep(self, keeper: _Keeper, dialer: Dialer, tasks: asyncio.TaskGroup) -> AditusError:
        while True:
            attachment = Attachment(keeper.link, dialer)
            keeper.enter("connecting", keeper.note)
            try:
                await self._serve(keeper, attachment)
                keeper.attachment = None
                tasks.create_task(self._drain(attachment))
                brief = time.time() - keeper.since < BRIEF_SECONDS
                keeper.enter("waiting", "drain")
                first = keeper.backoff.next()  # its other agents do the same
                await self._pause(first if brief else min(first, attachment.grace / 2))
            except LinkFailure as failure:
                keeper.attachment = None
                self._forget(attachment)
                delay = self._delay_after(keeper, failure)
                if delay is None:
                    keeper.enter("stopped", failure.error.reason)
                    return failure.error
                keeper.enter("waiting", failure.error.reason)
                _log.warning(
                    "%s",
                    failure.error,
                    extra=fields(reason=failure.error.reason, retry_in=f"{delay:.1f}s"),
                )
                await self._pause(delay)
            except asyncio.CancelledError:
                attachment.close()
                raise

    async def _serve(self, keeper: _Keeper, attachment: Attachment) -> None:
        """Attach, and serve until the relay says that it will leave. Raises `LinkFailure`."""
        await attachment.attach()
        self._attached.add(attachment)
        keeper.attachment = attachment
        keeper.enter("attached")
        keeper.attaches += 1
        keeper.cut_off = False
        keeper.failures = 0
        keeper.backoff.reset()
        for other in self._attached - {attachment}:
            other.replaced()
        _log.info("attached", extra=fields(relay=keeper.link.url.audience, ports=self.ports))
        await attachment.until_leaving()
        _log.info("the relay is leaving, attaching again", extra=fields(relay=keeper.link.url.audience))

    async def _drain(self, attachment: Attachment) -> None:
        """Once another relay serves, let the streams of a leaving one finish, within the grace it gives."""
        if any(keeper.attachment for keeper in self._keepers):
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

    def _forget(self, attachment: Attachment) -> None:
        """Keep its counts alone."""
        if attachment in self._attached and attachment.mux is not None:
            self._attached.discard(attachment)
            self._finished_streams += attachment.mux.streams_total
            self._finished_bytes[0] += attachment.mux.bytes_received
            self._finished_bytes[1] += attachment.mux.bytes_sent

    def _delay_after(self, keeper: _Keeper, failure: LinkFailure) -> float | None:
        """Seconds until the next try, or None to stop for good."""
        infinite = self._settings.infinite_retries
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
    def ports(self) -> tuple[int, ...]:
        """The app ports on offer."""
        return tuple(spec.app_port for spec in self._settings.specs)

    def not_ready(self) -> list[str]:
        """Why this agent is of no use to apps now; empty when it is ready."""
        reasons = []
        if not any(keeper.attachment for keeper in self._keepers):
            links = ", ".join(f"{k.link.url.audience} {k.state} {k.note}".strip() for k in self._keepers)
            reasons.append(f"no link is up: {links}")
        for keeper in self._keepers:
            status = keeper.attachment.status if keeper.attachment else None
            if status and not any(entry.verdict.accepted for entry in status.ports):
                refused = ", ".join(f"{entry.port} {entry.verdict.token}" for entry in status.ports)
                reasons.append(f"{keeper.link.url.audience} serves none of the ports: {refused}")
        if self._dialer is not None:
            reasons += [f"spec {spec}: {why.token}" for spec, why in self._dialer.failing.items()]
        return reasons

    def figures(self) -> AgentFigures:
        """What is counted, for metrics."""
        muxes = [attachment.mux for attachment in self._attached if attachment.mux is not None]
        dialer = self._dialer
        failing = {spec.app_port for spec in dialer.failing} if dialer is not None else set()
        failures = dialer.failures if dialer is not None else {}
        expiries = [a.status.expires_at for a in self._attached if a.status is not None]
        return AgentFigures(
            links=[_figures(keeper) for keeper in self._keepers],
            streams=sum(mux.session.streams for mux in muxes),
            streams_total=self._finished_streams + sum(mux.streams_total for mux in muxes),
            bytes_in=self._finished_bytes[0] + sum(mux.bytes_received for mux in muxes),
            bytes_out=self._finished_bytes[1] + sum(mux.bytes_sent for mux in muxes),
            specs={port: port not in failing for port in self.ports},
            dial_errors={(port, reason.token): count for (port, reason), count in failures.items()},
            key_expires_at=max(expiries, default=0) or None,
        )

    def rows(self) -> list[LinkRow]:
        """One row per link, for the status line."""
        return [self._row(keeper) for keeper in self._keepers]

    def _row(self, keeper: _Keeper) -> LinkRow:
        attachment, relay = keeper.attachment, keeper.link.url.audience
        if attachment is None or attachment.mux is None or attachment.status is None:
            return LinkRow(relay, keeper.state, "", 0, 0, 0, None, keeper.since, keeper.note)
        mux = attachment.mux
        ports = " ".join(
            str(entry.port) if entry.verdict.accepted else f"{entry.port}({entry.verdict.token})"
            for entry in attachment.status.ports
        )
        return LinkRow(
            relay=relay,
            state=keeper.state,
            ports=ports,
            streams=mux.session.streams,
            bytes_in=mux.bytes_received,
            bytes_out=mux.bytes_sent,
            rtt_ms=mux.session.rtt * 1000 or None,
            since=keeper.since,
            note=keeper.note,
        )


def _figures(keeper: _Keeper) -> LinkFigures:
    mux = keeper.attachment.mux if keeper.attachment is not None else None
    return LinkFigures(
        relay=keeper.link.url.audience,
        slot=keeper.link.slot,
        is_up=mux is not None,
        attaches=keeper.attaches,
        rtt_seconds=(mux.session.rtt or None) if mux is not None else None,
        certificate_ends_at=mux.ws.certificate_ends_at if mux is not None and mux.ws is not None else None,
    )
