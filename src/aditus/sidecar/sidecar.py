"""The sidecar: its links to relays, and the local ports that follow what can be reached."""

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable

from aditus.domain.errors import AditusError
from aditus.domain.ports import Signer
from aditus.net.link import Link
from aditus.net.links import Links
from aditus.net.mux import MuxStream, Resources, StreamEnd
from aditus.sidecar.app_pump import AppPump
from aditus.sidecar.attachment import SidecarAttachment
from aditus.sidecar.listeners import Listeners
from aditus.sidecar.proxies import Proxies
from aditus.sidecar.settings import SidecarSettings
from aditus.telemetry.complaints import Complaints
from aditus.telemetry.sidecar_metrics import SidecarFigures
from aditus.telemetry.status import LinkRow
from aditus.wire.errors import CannotOpen, ResetReason
from aditus.wire.frames import INSTANCE_SIZE, Role

HOLD_SECONDS = 5.0
"""How long apps that come wait for the next relay, when one leaves; then they are refused."""
AGAIN_SECONDS = 5.0
"""How often a local port that could not be had is tried again."""


class Sidecar:
    """The sidecar's program, without its process: `run` it in a task, cancel the task to stop it."""

    def __init__(
        self,
        settings: SidecarSettings,
        signer: Signer,
        tls: ssl.SSLContext,
        resources: Resources,
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self.complaints = Complaints()
        self.changed: Callable[[], None] = lambda: None
        """Told when what can be reached may have changed."""
        instance = secrets.token_bytes(INSTANCE_SIZE)
        links = [
            Link(
                relay.connect(),
                Role.SIDECAR,
                signer,
                instance,
                slot,
                tls,
                resources,
                settings.proxies.get(relay),
            )
            for relay in settings.relays
            for slot in range(settings.links)
        ]
        self._links = Links(links, self._attachment, infinite_retries=settings.infinite_retries, pause=pause)
        self._links.changed = self._follow
        self._listeners = Listeners(settings.listen or "", lambda port: AppPump(port, self))
        self._proxies = Proxies(settings, self)
        self._tasks: asyncio.TaskGroup  # while it runs
        self._again: asyncio.TimerHandle | None = None
        self.refusals: dict[str, int] = {}
        """Streams that could not be opened since the start, by reason."""

    def _attachment(self, link: Link) -> SidecarAttachment:
        return SidecarAttachment(link, self._settings.app, self._follow)

    async def run(self) -> AditusError:
        """Stay attached. Returns only when the last link has stopped for good, with the reason.

        Raises `AditusError` (invalid) at once when a proxy's address cannot be had.
        """
        try:
            await self._proxies.open()
            async with asyncio.TaskGroup() as self._tasks:
                end = await self._links.run(self._tasks)
                self._close_doors()
        finally:
            self._close_doors()
            if self._again is not None:
                self._again.cancel()
        return end

    def _close_doors(self) -> None:
        self._listeners.close()
        self._proxies.close()

    # --- what can be reached, and the way there ------------------------------------------------

    @property
    def ports(self) -> dict[int, str]:
        """The app ports that can be reached now, each with its alias, or an empty one."""
        found: dict[int, str] = {}
        for keeper in self._links.keepers:
            for port, alias in keeper.attachment.ports.items() if keeper.attachment else ():
                found[port] = found.get(port) or alias
        return dict(sorted(found.items()))

    @property
    def is_up(self) -> bool:
        """Whether a relay serves us now."""
        return self._links.is_up

    @property
    def is_moving(self) -> bool:
        """Whether a relay leaves, and no other serves us yet."""
        return self._links.moves and not self._links.is_up

    def open(self, port: int, source: str, end: StreamEnd) -> MuxStream:
        """A stream for an app port, through the relay with the fewest. Raises `CannotOpen`."""
        muxes = [
            keeper.attachment.mux
            for keeper in self._links.keepers
            if keeper.attachment and keeper.attachment.mux and port in keeper.attachment.ports
        ]
        try:
            if not muxes:
                raise CannotOpen(ResetReason.NO_AGENT)
            return min(muxes, key=lambda mux: mux.session.streams).open(port, source, end)
        except CannotOpen as error:
            self.refusals[error.reason.token] = self.refusals.get(error.reason.token, 0) + 1
            raise

    def _follow(self) -> None:
        """Have the local ports of what can be reached; while a relay leaves, let apps wait a moment."""
        self.changed()
        loop = asyncio.get_running_loop()
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self.is_moving:
            self._listeners.hold()
            self._proxies.hold()
            self._again = loop.call_later(HOLD_SECONDS, self._settle)
        else:
            self._settle()

    def _settle(self) -> None:
        self._proxies.follow()
        self._tasks.create_task(self._listen())

    async def _listen(self) -> None:
        await self._listeners.want(self._wanted())
        if self._listeners.failed and self._again is None:
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._settle()

    def _wanted(self) -> dict[int, int]:
        """The local ports of what can be reached now, and the app ports that they lead to."""
        reachable = self.ports if self._settings.listen is not None else {}
        if not self._settings.local_ports:
            return {port: port for port in reachable}
        return {one.local: one.app_port for one in self._settings.local_ports if one.app_port in reachable}

    # --- what is going on ----------------------------------------------------------------------

    def not_ready(self) -> list[str]:
        """Why this sidecar is of no use to its app now; empty when it is ready."""
        reasons = []
        if not self._links.is_up:
            reasons.append(f"no link is up: {self._links.in_words()}")
        elif not self.ports:
            reasons.append("no agent of the app's key offers a port now")
            reasons += dict.fromkeys(
                warning
                for keeper in self._links.keepers
                if keeper.attachment and keeper.attachment.status
                for warning in keeper.attachment.status.warnings
            )
        missing = {one.app_port for one in self._settings.local_ports} - self.ports.keys()
        reasons += [f"app port {port} cannot be reached now" for port in sorted(missing) if self.ports]
        reasons += [f"local port {port}: {why}" for port, why in sorted(self._listeners.failed.items())]
        return reasons

    def figures(self) -> SidecarFigures:
        """What is counted, for metrics."""
        totals = self._links.totals()
        return SidecarFigures(
            links=self._links.figures(),
            streams=totals.streams,
            streams_total=totals.streams_total,
            bytes_in=totals.sent,
            bytes_out=totals.received,
            ports=tuple(self.ports),
            refusals=dict(self.refusals),
        )

    def rows(self) -> list[LinkRow]:
        """One row per link, for the status line."""
        return self._links.rows()
