"""Keeps an agent attached: its links to each relay, tried again as each failure says, until told to stop."""

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aditus.agent.attachment import Attachment
from aditus.agent.dialer import Dialer
from aditus.agent.settings import FAILURES_BEFORE_FIRST_ATTACH, AgentSettings
from aditus.agent.status import LinkRow
from aditus.domain.errors import AditusError
from aditus.domain.ports import Signer
from aditus.net.link import Backoff, Follow, Link, LinkFailure
from aditus.net.mux import Resources
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
    was_attached: bool = False
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

    async def run(self) -> AditusError:
        """Stay attached. Returns only when the last link has stopped for good, with the reason."""
        async with asyncio.TaskGroup() as tasks:
            self._dialer = Dialer(self._settings, tasks)
            keepers = [tasks.create_task(self._keep(keeper, self._dialer, tasks)) for keeper in self._keepers]
            ends = [await ended for ended in asyncio.as_completed(keepers)]
        return ends[-1]

    async def _keep(self, keeper: _Keeper, dialer: Dialer, tasks: asyncio.TaskGroup) -> AditusError:
        while True:
            attachment = Attachment(keeper.link, dialer)
            keeper.enter("connecting", keeper.note)
            try:
                await self._serve(keeper, attachment)
                keeper.attachment = None
                tasks.create_task(self._drain(attachment))
                if time.time() - keeper.since < BRIEF_SECONDS:
                    await self._pause(keeper.backoff.next())
            except LinkFailure as failure:
                keeper.attachment = None
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
        keeper.attachment = attachment
        keeper.enter("attached")
        keeper.was_attached = True
        keeper.cut_off = False
        keeper.failures = 0
        keeper.backoff.reset()
        _log.info("attached", extra=fields(relay=keeper.link.url.audience, ports=self.ports))
        await attachment.until_leaving()
        _log.info("the relay is leaving, attaching again", extra=fields(relay=keeper.link.url.audience))

    async def _drain(self, attachment: Attachment) -> None:
        """Let the streams of a leaving relay finish, within the grace it gives."""
        try:
            async with asyncio.timeout(attachment.grace):
                await attachment.until_quiet()
        except TimeoutError:
            _log.info("the grace of a leaving relay has ended")
        finally:
            attachment.close()

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
        keeper.failures += 1
        hopeless = failure.tls or keeper.failures >= FAILURES_BEFORE_FIRST_ATTACH
        if hopeless and not (keeper.was_attached or infinite):
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
