"""The agent: its links to each relay, and the dialer that serves what comes of them."""

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from aditus.agent.attachment import AgentAttachment
from aditus.agent.dialer import Dialer
from aditus.agent.settings import AgentSettings
from aditus.domain.errors import AditusError
from aditus.domain.ports import Signer
from aditus.domain.spec import Spec
from aditus.net.link import Link
from aditus.net.links import Links
from aditus.net.mux import Resources
from aditus.telemetry.agent_metrics import AgentFigures
from aditus.telemetry.status import LinkRow
from aditus.wire.frames import INSTANCE_SIZE, Role


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
        self._dialer: Dialer  # there while it runs
        self._runs = False
        instance = secrets.token_bytes(INSTANCE_SIZE)
        links = [
            Link(url, Role.AGENT, signer, instance, slot, tls, resources, settings.proxies.get(url.relay))
            for url in settings.urls
            for slot in range(settings.links)
        ]
        self._links = Links(links, self._attachment, infinite_retries=settings.infinite_retries, pause=pause)

    def _attachment(self, link: Link) -> AgentAttachment:
        return AgentAttachment(link, self._dialer)

    async def run(self) -> AditusError:
        """Stay attached. Returns only when the last link has stopped for good, with the reason."""
        async with asyncio.TaskGroup() as tasks:
            self._dialer = Dialer(self._settings, tasks)
            self._runs = True
            try:
                return await self._links.run(tasks)
            finally:
                self._dialer.close()

    def offer(self, specs: Sequence[Spec]) -> None:
        """Offer these services from now on.

        Streams of an app port that leads elsewhere now, or nowhere, are cut; no other one notices.
        """
        self._settings = replace(self._settings, specs=tuple(specs))
        if not self._runs:  # it begins with them
            return
        moved = self._dialer.change(specs)
        for attachment in self._links.attached:
            attachment.cut(moved)
            attachment.offer()

    # --- what is going on ----------------------------------------------------------------------

    @property
    def ports(self) -> tuple[int, ...]:
        """The app ports on offer."""
        return tuple(spec.app_port for spec in self._settings.specs)

    def not_ready(self) -> list[str]:
        """Why this agent is of no use to apps now; empty when it is ready."""
        reasons = []
        if not self._links.is_up:
            reasons.append(f"no link is up: {self._links.in_words()}")
        for keeper in self._links.keepers:
            status = keeper.attachment.status if keeper.attachment else None
            if status and not any(entry.verdict.accepted for entry in status.ports):
                refused = ", ".join(f"{entry.port} {entry.verdict.token}" for entry in status.ports)
                reasons.append(f"{keeper.link.url.audience} serves none of the ports: {refused}")
        if self._runs:
            reasons += [f"spec {spec}: {why.token}" for spec, why in self._dialer.failing.items()]
        return reasons

    def figures(self) -> AgentFigures:
        """What is counted, for metrics."""
        totals = self._links.totals()
        failing = {spec.app_port for spec in self._dialer.failing} if self._runs else set()
        failures = self._dialer.failures if self._runs else {}
        expiries = [one.status.expires_at for one in self._links.attached if one.status is not None]
        return AgentFigures(
            links=self._links.figures(),
            streams=totals.streams,
            streams_total=totals.streams_total,
            bytes_in=totals.received,
            bytes_out=totals.sent,
            specs={port: port not in failing for port in self.ports},
            dial_errors={(port, reason.token): count for (port, reason), count in failures.items()},
            key_expires_at=max(expiries, default=0) or None,
        )

    def rows(self) -> list[LinkRow]:
        """One row per link, for the status line."""
        return self._links.rows()
