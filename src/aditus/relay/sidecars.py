"""The sidecars that are attached now: what they are told, what they open, and when they lose their right."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aditus.domain.policy import Denied, credential_verdict, key_verdict
from aditus.domain.relays import CredentialUse, RelayApp, SidecarView
from aditus.net.mux import Mux, MuxStream
from aditus.relay.app_ring import AppRing
from aditus.relay.join import Join, Joiner
from aditus.relay.keyring import Keyring
from aditus.relay.open import close_code, reset_reason
from aditus.relay.registry import Registry
from aditus.relay.report import Reporter
from aditus.relay.roster import Roster
from aditus.telemetry.log import fields
from aditus.wire.errors import ResetReason
from aditus.wire.frames import MAX_PORTS, PortVerdict, Status, Verdict

_log = logging.getLogger(__name__)

MANY_PORTS = (
    f"the agents of the app's key offer more than {MAX_PORTS} ports; the first of them are named here"
)


@dataclass(slots=True, eq=False)
class Sidecar:
    """One live authenticated attachment of a sidecar."""

    sidecar_id: str
    app_id: str
    credential_id: str
    subscription_id: str
    instance: bytes
    slot: int
    mux: Mux
    program: str
    host: str
    peer: str
    source: str  # the address that it dialled from, as far as proxies are believed
    attached_at: float
    status: Status | None = None  # the last one
    joins: set[Join] = field(default_factory=set)
    leaves: bool = False  # it was asked to

    @property
    def member_id(self) -> str:
        return self.sidecar_id

    @property
    def owner_id(self) -> str:
        return self.app_id


class Sidecars(Roster[Sidecar]):
    """The live sidecars. A sidecar's owner is its app."""

    def __init__(
        self,
        region: str,
        keyring: Keyring,
        apps: AppRing,
        registry: Registry,
        joiner: Joiner,
        reporter: Reporter,
    ) -> None:
        super().__init__()
        self._region = region
        self._keyring = keyring
        self._apps = apps
        self._registry = registry
        self._joiner = joiner
        self._reporter = reporter
        self._stale: dict[str, None] = {}  # app_ids whose sidecars are to be told anew, in this turn
        self._draining: float | None = None  # the grace in seconds, once the relay leaves
        self.removed: Callable[[Sidecar], None] = lambda sidecar: None

    # --- coming and going ----------------------------------------------------------------------

    def came(self, sidecar: Sidecar) -> None:
        """It is attached: tell it what it can reach."""
        _log.info("sidecar attached", extra=_about(sidecar))
        self.note_use(sidecar)
        self._tell(sidecar)

    def went(self, sidecar: Sidecar) -> None:
        """Its session is over."""
        _log.info("sidecar gone", extra=_about(sidecar))
        self.removed(sidecar)

    def opened(self, sidecar: Sidecar, stream: MuxStream, source: str) -> None:
        """It opens a stream: lead it to an agent of its app's key."""
        if len(sidecar.joins) > 2 * sidecar.mux.session.streams:
            sidecar.joins = {join for join in sidecar.joins if not join.over}
        sidecar.joins.add(self._joiner.join(stream, sidecar.app_id, _source(sidecar, source)))

    def note_use(self, sidecar: Sidecar) -> None:
        """Report its credential as used now."""
        use = CredentialUse(sidecar.credential_id, time.time(), sidecar.source, sidecar.program)
        self._reporter.used_credential(use)

    def drain(self, grace: float, *, alone: bool) -> None:
        """Ask them to leave: now, or beside other relays as soon as their agents have gone there."""
        self._draining = grace
        for sidecar in self.all():
            if alone or not self._reachable(self._apps.get(sidecar.app_id)):
                self._ask_to_leave(sidecar)

    # --- what changes --------------------------------------------------------------------------

    def enforce(self, apps: Iterable[RelayApp]) -> None:
        """Cut what these apps, as they are now, may not have any more; tell them what they can reach."""
        for app in apps:
            revoked = {one.credential_id: credential_verdict(one) for one in app.credentials}
            for sidecar in self.of(app.app_id):
                verdict = revoked.get(sidecar.credential_id, Denied("revoked"))
                if isinstance(verdict, Denied):
                    self.remove(sidecar)
                    sidecar.mux.close(close_code(verdict), verdict.reason, reset_reason(verdict))
                    self.went(sidecar)
                    continue
                for join in list(sidecar.joins):
                    if not join.over and join.key_id and join.key_id != app.key_id:
                        join.cut(ResetReason.NOT_ASSOCIATED)
            self._app_changed(app.app_id)

    def key_changed(self, key_id: str) -> None:
        """What the agents of a key serve has changed, or the key itself."""
        for app_id in self._apps.of_key(key_id):
            self._app_changed(app_id)

    def _app_changed(self, app_id: str) -> None:
        """Tell its sidecars, once in a turn: much changes at once when an agent goes."""
        if not self._stale:
            asyncio.get_running_loop().call_soon(self._tell_all)
        self._stale[app_id] = None

    def _tell_all(self) -> None:
        stale, self._stale = self._stale, {}
        for app_id in stale:
            self._joiner.go_on(app_id)
            for sidecar in self.of(app_id):
                self._tell(sidecar)

    # --- what they are told --------------------------------------------------------------------

    def _tell(self, sidecar: Sidecar) -> None:
        app = self._apps.get(sidecar.app_id)
        if app is None or sidecar.leaves:
            return
        reachable = self._reachable(app)
        if self._draining is not None and not reachable:
            self._ask_to_leave(sidecar)
            return
        status = self._status(app, reachable)
        if status != sidecar.status:
            sidecar.status = status
            sidecar.mux.session.send_status(status)
            sidecar.mux.flush_soon()

    def _ask_to_leave(self, sidecar: Sidecar) -> None:
        sidecar.leaves = True
        sidecar.mux.session.go_away(int(self._draining or 0), "drain")
        sidecar.mux.flush()
        self.free_slot(sidecar)

    def leave_now(self) -> None:
        """No agent is here any more, or will be soon: those that stayed for one are asked to leave, too."""
        for sidecar in self.all():
            if not sidecar.leaves:
                self._ask_to_leave(sidecar)

    def _reachable(self, app: RelayApp | None) -> dict[int, str]:
        return self._registry.reachable(app.key_id) if app is not None and app.key_id else {}

    def _status(self, app: RelayApp, reachable: dict[int, str]) -> Status:
        key = self._keyring.get(app.key_id)
        verdict = None if key is None else key_verdict(key, time.time())
        warnings = []
        if not app.key_id:
            warnings.append("the app is associated with no access key; an administrator can do that")
        elif key is None and app.region not in ("", self._region):
            warnings.append(f"the app's access key is of region {app.region}; dial a relay there")
        elif isinstance(verdict, Denied):
            warnings.append(f"the app's access key is {verdict.reason}")
        if len(reachable) > MAX_PORTS:
            warnings.append(MANY_PORTS)
        entries = [PortVerdict(port, Verdict.SERVED, alias=alias) for port, alias in reachable.items()]
        return Status(
            revision=0,
            ports=tuple(entries[:MAX_PORTS]),
            expires_at=int(key.expires_at) if key is not None and key.expires_at else 0,
            warnings=tuple(warnings),
            app_id=app.app_id,
            app=app.name,
        )

    # --- what is going on ----------------------------------------------------------------------

    def views(self, subscription_id: str) -> list[SidecarView]:
        """The live sidecars of a subscription's apps, oldest first."""
        return [_view(sidecar) for sidecar in self.all() if sidecar.subscription_id == subscription_id]


def _source(sidecar: Sidecar, said: str) -> str:
    """Who connected: the sidecar's address, which we know, with the app's port, which it says."""
    host = f"[{sidecar.source}]" if ":" in sidecar.source else sidecar.source
    port = said.rpartition(":")[2]
    return f"{host}:{port}" if port.isascii() and port.isdigit() and int(port[:6]) <= 65_535 else f"{host}:0"


def _view(sidecar: Sidecar) -> SidecarView:
    mux = sidecar.mux
    return SidecarView(
        app_id=sidecar.app_id,
        subscription_id=sidecar.subscription_id,
        credential_id=sidecar.credential_id,
        instance=sidecar.instance.hex(),
        slot=sidecar.slot,
        version=sidecar.program,
        host=sidecar.host,
        peer=sidecar.peer,
        attached_at=sidecar.attached_at,
        ports=() if sidecar.status is None else tuple(entry.port for entry in sidecar.status.ports),
        streams=mux.session.streams,
        streams_total=mux.streams_total,
        bytes_in=mux.bytes_received,
        bytes_out=mux.bytes_sent,
        rtt_ms=round(mux.session.rtt * 1000, 3) or None,
    )


def _about(sidecar: Sidecar) -> dict[str, object]:
    return fields(
        sidecar=sidecar.sidecar_id,
        app=sidecar.app_id,
        host=sidecar.host,
        peer=sidecar.peer,
        program=sidecar.program,
        age=f"{time.time() - sidecar.attached_at:.0f}s",
    )
