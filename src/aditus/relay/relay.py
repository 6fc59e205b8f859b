"""The relay's front door: start, feed, look, cut, drain. Everything here runs on the relay's loop."""

import asyncio
import functools
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Sequence

from aditus.domain.happenings import TunnelChange
from aditus.domain.model import Cut
from aditus.domain.policy import Denied, expiry_warning, port_verdict
from aditus.domain.ports import Verifier
from aditus.domain.relays import KeyChanges, KeyUse, PortStatus, RelayKey, SidecarView, StreamView, TunnelView
from aditus.net import ws
from aditus.net.door import Door
from aditus.net.mux import Resources
from aditus.net.tcp import ListeningSocket
from aditus.relay import views
from aditus.relay.accept import Acceptor
from aditus.relay.app_ring import AppRing
from aditus.relay.cut import Cutter
from aditus.relay.ingress import Ingress
from aditus.relay.join import Joiner
from aditus.relay.keyring import Keyring
from aditus.relay.open import Opener
from aditus.relay.registry import Registry, Tunnel
from aditus.relay.report import Reporter
from aditus.relay.settings import RelaySettings
from aditus.relay.sidecars import Sidecars
from aditus.telemetry.log import fields
from aditus.wire.errors import CloseCode, ResetReason
from aditus.wire.frames import Offer, PortVerdict, Status, Verdict

_log = logging.getLogger(__name__)

HANDOVER = 0.7
"""For this part of its grace a relay beside others takes apps, or until its agents are attached there."""


class Relay:
    """Accepts agents, serves their ports to apps, and cuts both when a key loses its right."""

    def __init__(self, settings: RelaySettings, verifier: Verifier, resources: Resources) -> None:
        self.refusals: dict[str, int] = {}
        """Refused connections, upgrades and handshakes by reason, since the start."""
        self.door = Door(
            settings.strangers, settings.strangers_per_source, lambda: self._refused("slow-down")
        )
        """Who has connected and is not known yet."""
        self.tunnel_changed: Callable[[TunnelChange, TunnelView], None] = lambda change, tunnel: None
        """Told of tunnels that come, go or offer other ports; must not block."""
        self.reporter = Reporter()
        """What is to be kept of what happens here."""
        self._resources = resources
        self._region = settings.region
        self._keyring = Keyring()
        self._apps = AppRing()
        self._registry = Registry()
        opener = Opener(self._keyring, self._apps, self._registry)
        self._sidecars = Sidecars(
            settings.region,
            self._keyring,
            self._apps,
            self._registry,
            Joiner(opener, self.reporter),
            self.reporter,
        )
        self._ingress = Ingress(settings, opener, self.reporter)
        self._ingress.freed = self._freed
        self._cutter = Cutter(
            self._keyring,
            self._registry,
            self._ingress,
            removed=self._removed,
            warn=self._answer_again,
        )
        self._acceptor = Acceptor(
            settings,
            self._keyring,
            self._apps,
            self._registry,
            self._sidecars,
            verifier,
            resources,
            self.door,
            self.reporter,
            registered=self._registered,
            offered=self._offered,
            removed=self._removed,
            refused=self._refused,
        )
        self._tasks: asyncio.TaskGroup  # given to `start`
        self._server: asyncio.Server | None = None
        self._handover: asyncio.TimerHandle | None = None
        self._finished_bytes = [0, 0]
        self._finished_streams = 0

    # --- life ----------------------------------------------------------------------------------

    async def start(
        self, sock: ListeningSocket, tls: ssl.SSLContext | None, tasks: asyncio.TaskGroup
    ) -> None:
        """Listen for agents on a bound socket. Answers to offers run in `tasks`."""
        self._tasks = tasks
        sock.door = self.door
        self._server = await ws.serve(sock, tls, self._acceptor.decide, self._acceptor.handshake_seconds)

    def drain(self, grace: float, *, alone: bool = True) -> None:
        """Take no more agents and sidecars, and ask those that are here to leave within `grace` seconds.

        Alone, it takes no more apps either. Beside other relays it listens for agents no more, so that a
        balancer leads them there, and takes apps until they are, for `HANDOVER` of the grace at most; a
        sidecar is asked to leave when its agents have.
        """
        self._acceptor.draining = True
        if not alone and self._server is not None:
            self._server.close()
        for tunnel in self._registry.all():
            tunnel.mux.session.go_away(int(grace), "drain")
            tunnel.mux.flush()
            self._registry.free_slot(tunnel)
        self._sidecars.drain(grace, alone=alone)
        loop, lasts = asyncio.get_running_loop(), 0.0 if alone else grace * HANDOVER
        self._handover = loop.call_later(lasts, self._shut)

    def _shut(self) -> None:
        self._sidecars.leave_now()
        self._tasks.create_task(self._ingress.shut())

    @property
    def accepting(self) -> bool:
        """Whether new agents are let in. May be read from any thread."""
        return self._server is not None and not self._acceptor.draining

    async def drained(self) -> None:
        """After `drain`: return when no app comes in any more, and no stream is left."""
        await self._ingress.is_shut.wait()
        await asyncio.gather(*(tunnel.mux.quiet.wait() for tunnel in self._registry.all()))

    def live_streams(self) -> int:
        """Streams that are open now."""
        return sum(tunnel.mux.session.streams for tunnel in self._registry.all())

    def close(self) -> None:
        """Cut what is left and stop listening."""
        if self._server is not None:
            self._server.close()
        if self._handover is not None:
            self._handover.cancel()
        self._ingress.close()
        self._cutter.close()
        for tunnel in self._registry.all():
            self._registry.remove(tunnel)
        for sidecar in self._sidecars.all():
            self._sidecars.remove(sidecar)
        self._acceptor.close()

    # --- the key feed --------------------------------------------------------------------------

    def apply(self, changes: KeyChanges, committed_at: float) -> list[Cut]:
        """Know these keys and apps from now on, and cut what they forbid: a `Cut` for each key without right.

        Those of another region are no business of this relay, though its server's API may change them.
        """
        if changes.region != self._region:
            return []
        before = {key.key_id: self._keyring.get(key.key_id) for key in changes.keys}
        self._keyring.apply(changes)
        self._apps.apply(changes.apps)
        known = [self._keyring.get(key.key_id) or key for key in changes.keys]
        cuts = [cut for key in known if (cut := self._cutter.enforce(key, committed_at)) is not None]
        for key in known:
            if _agents_are_told(before[key.key_id], key):
                self._answer_again(key.key_id)
            self._sidecars.key_changed(key.key_id)
        self._sidecars.enforce(changes.apps)
        return cuts

    @property
    def epoch(self) -> int:
        """The epoch of the region up to which keys are known here."""
        return self._keyring.epoch

    def note_uses(self) -> None:
        """Report the keys of all live tunnels, and the credentials of all live sidecars, as used now."""
        for tunnel in self._registry.all():
            self._note_use(tunnel)
        for sidecar in self._sidecars.all():
            self._sidecars.note_use(sidecar)

    # --- what is going on ----------------------------------------------------------------------

    def would_cut(self, key_ids: Iterable[str]) -> list[Cut]:
        """What cutting these keys would end now."""
        return [self._cutter.would_cut(key_id) for key_id in key_ids]

    def tunnels(self, subscription_id: str) -> list[TunnelView]:
        """The live tunnels of a subscription, oldest first."""
        return [views.tunnel_view(tunnel, self._keyring) for tunnel in self._of(subscription_id)]

    def streams(self, subscription_id: str) -> list[StreamView]:
        """The live streams of a subscription, by tunnel, oldest first."""
        return [view for tunnel in self._of(subscription_id) for view in views.stream_views(tunnel)]

    def sidecars(self, subscription_id: str) -> list[SidecarView]:
        """The live sidecars of a subscription's apps, oldest first."""
        return self._sidecars.views(subscription_id)

    def cut_tunnel(self, subscription_id: str, tunnel_id: str) -> bool:
        """End one tunnel; its agent will be back. False: there is no such tunnel."""
        tunnel = self._registry.get(tunnel_id)
        if tunnel is None or tunnel not in self._of(subscription_id):
            return False
        self._registry.remove(tunnel)
        tunnel.mux.session.go_away(0, "cut by an administrator")
        tunnel.mux.flush()
        tunnel.mux.close(CloseCode.DRAIN, "drain", ResetReason.AGENT_LOST)
        self._removed(tunnel)
        return True

    def totals(self) -> views.Totals:
        """Counts since the start, for metrics."""
        tunnels = self._registry.all()
        return views.Totals(
            tunnels=len(tunnels),
            sidecars=len(self._sidecars),
            streams=sum(tunnel.mux.session.streams for tunnel in tunnels),
            streams_total=self._finished_streams + sum(tunnel.mux.streams_total for tunnel in tunnels),
            bytes_in=self._finished_bytes[0] + sum(tunnel.mux.bytes_sent for tunnel in tunnels),
            bytes_out=self._finished_bytes[1] + sum(tunnel.mux.bytes_received for tunnel in tunnels),
            violations=self._resources.violations,
        )

    def _of(self, subscription_id: str) -> Sequence[Tunnel]:
        return [
            tunnel
            for tunnel in self._registry.all()
            if (key := self._keyring.get(tunnel.key_id)) is not None
            and key.subscription_id == subscription_id
        ]

    # --- what the acceptor and the cutter tell -------------------------------------------------

    def _refused(self, reason: str) -> None:
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def _registered(self, tunnel: Tunnel) -> None:
        self._cutter.watch(tunnel.key_id)
        self._note_use(tunnel)
        tunnel.guard.reopened = functools.partial(self._let_in, tunnel)
        _log.info("agent attached", extra=_about(tunnel))
        self._changed(TunnelChange.ATTACHED, tunnel)

    def _note_use(self, tunnel: Tunnel) -> None:
        self.reporter.used(
            KeyUse(
                tunnel.key_id,
                tunnel.public_key,
                time.time(),
                tunnel.source,
                tunnel.instance.hex(),
                tunnel.program,
            )
        )

    def _offered(self, tunnel: Tunnel, offer: Offer) -> None:
        tunnel.offer = offer
        self._tasks.create_task(self._answer(tunnel))

    def _answer_again(self, key_id: str) -> None:
        """Something changed that the agents of a key should know, or what they offer is judged anew."""
        for tunnel in self._registry.of(key_id):
            if tunnel.offer is not None:
                self._tasks.create_task(self._answer(tunnel))

    def _freed(self, port: int) -> None:
        """A port is no key's any more: it is the first one's of those that were refused it, oldest first."""
        for tunnel in self._registry.all():
            status = tunnel.ports.get(port)
            if status is not None and status.verdict == Verdict.PORT_TAKEN.token:
                self._tasks.create_task(self._answer(tunnel))

    async def _answer(self, tunnel: Tunnel) -> None:
        async with tunnel.answering:
            if tunnel.offer is not None:
                await self._answer_offer(tunnel, tunnel.offer)

    async def _answer_offer(self, tunnel: Tunnel, offer: Offer) -> None:
        """Open the listeners of an offer, and tell the agent what became of each port."""
        for port in offer.ports:
            if not self._is_live(tunnel):
                break  # its key may be gone: it takes no more ports
            # Noted at once: a listener stays open for as long as a tunnel has its port.
            tunnel.ports[port] = await self._serve(tunnel.key_id, port)
        if not self._is_live(tunnel):  # it went while listeners were opened
            self._close_unserved(tunnel.key_id, tunnel.ports)
            return
        unserved = [port for port, status in tunnel.ports.items() if not status.accepted]
        for port in tunnel.ports.keys() - set(offer.ports):
            if not self._registry.offers(tunnel.key_id, port, but=tunnel):
                await self._ingress.finish(port, tunnel.key_id)
            tunnel.ports.pop(port, None)
            unserved.append(port)
        if not self._is_live(tunnel):
            return
        key = self._keyring.get(tunnel.key_id)
        expires_at = int(key.expires_at) if key is not None and key.expires_at else 0
        entries = tuple(
            PortVerdict(status.port, Verdict[status.verdict.upper().replace("-", "_")], status.detail)
            for status in (tunnel.ports[port] for port in offer.ports)
        )
        warnings = () if key is None else _warnings(key, time.time())
        tunnel.mux.session.send_status(Status(offer.revision, entries, expires_at, warnings))
        tunnel.mux.flush()
        self._close_unserved(tunnel.key_id, unserved)
        self._let_in(tunnel)
        self._changed(TunnelChange.OFFERED, tunnel)

    def _let_in(self, tunnel: Tunnel) -> None:
        """The tunnel has room, or other ports: let in the apps that wait for one of them."""
        for port in tunnel.ports:
            self._ingress.go_on(port, tunnel.key_id)
        self._sidecars.key_changed(tunnel.key_id)

    async def _serve(self, key_id: str, port: int) -> PortStatus:
        key = self._keyring.get(key_id)
        if key is not None and isinstance(port_verdict(key, port), Denied):
            verdict = Verdict.PORT_NOT_ALLOWED
            self._ingress.release(key_id, port)
            return PortStatus(port, False, verdict.token, "the access key's rules do not allow it")
        return await self._ingress.serve(key_id, port)

    def _is_live(self, tunnel: Tunnel) -> bool:
        return self._registry.get(tunnel.tunnel_id) is tunnel

    def _removed(self, tunnel: Tunnel) -> None:
        self._finished_bytes[0] += tunnel.mux.bytes_sent
        self._finished_bytes[1] += tunnel.mux.bytes_received
        self._finished_streams += tunnel.mux.streams_total
        self._close_unserved(tunnel.key_id, tunnel.ports)
        self._sidecars.key_changed(tunnel.key_id)
        _log.info("agent gone", extra=_about(tunnel))
        self._changed(TunnelChange.GONE, tunnel)

    def _changed(self, change: TunnelChange, tunnel: Tunnel) -> None:
        self.tunnel_changed(change, views.tunnel_view(tunnel, self._keyring))

    def _close_unserved(self, key_id: str, ports: Iterable[int]) -> None:
        for port in ports:
            if not self._registry.offers(key_id, port):
                self._ingress.pause(port, key_id)


def _agents_are_told(before: RelayKey | None, key: RelayKey) -> bool:
    """Whether a change of a key is one that its agents' STATUS tells of."""
    return before is not None and (
        before.allowed_ports != key.allowed_ports or before.expires_at != key.expires_at
    )


def _warnings(key: RelayKey, now: float) -> tuple[str, ...]:
    days = expiry_warning(key.expires_at, now)
    if days is None:
        return ()
    return (f"the access key expires within {days} day{'s' if days > 1 else ''}; have it extended",)


def _about(tunnel: Tunnel) -> dict[str, object]:
    return fields(
        tunnel=tunnel.tunnel_id,
        key_id=tunnel.key_id,
        host=tunnel.host,
        peer=tunnel.peer,
        program=tunnel.program,
        age=f"{time.time() - tunnel.attached_at:.0f}s",
    )
