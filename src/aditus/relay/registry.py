"""The tunnels that are attached now, and which of them offers what."""

import asyncio
import time
from dataclasses import dataclass, field

from aditus.domain.relays import PortStatus
from aditus.domain.spec import is_alias
from aditus.net.mux import Mux
from aditus.relay.guard import Guard
from aditus.relay.roster import Roster
from aditus.wire.frames import Offer

PASSED_OVER_SECONDS = 10.0
"""For so long new streams go elsewhere after a target failed; then one of them tries it again."""


@dataclass(slots=True, eq=False)
class Tunnel:
    """One live authenticated attachment of an agent: its session, and what it offers."""

    tunnel_id: str
    key_id: str
    instance: bytes
    slot: int
    mux: Mux
    program: str
    host: str
    peer: str
    attached_at: float
    public_key: bytes = b""  # of the secret that it proved
    source: str = ""  # the address that it dialled from, as far as proxies are believed
    offer: Offer | None = None  # the last one
    answering: asyncio.Lock = field(default_factory=asyncio.Lock)
    ports: dict[int, PortStatus] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    failing: dict[int, float] = field(default_factory=dict)  # ports whose target failed last, and when

    @property
    def member_id(self) -> str:
        return self.tunnel_id

    @property
    def owner_id(self) -> str:
        return self.key_id

    def offers(self, port: int) -> bool:
        """Whether the port is on offer here, the key's rules allow it, and the agent does not leave."""
        status = self.ports.get(port)
        return status is not None and status.reachable and not self.mux.session.peer_leaves

    def serves(self, port: int) -> bool:
        """Whether a stream for this port may be opened here now."""
        return self.offers(port) and self.mux.session.registered

    def fails(self, port: int, now: float) -> bool:
        """Whether the target of this port failed lately, and no later stream says otherwise."""
        failed_at = self.failing.get(port)
        return failed_at is not None and now - failed_at < PASSED_OVER_SECONDS


class Registry(Roster[Tunnel]):
    """The live tunnels. A tunnel's owner is its key."""

    def remove(self, tunnel: Tunnel) -> bool:
        if not super().remove(tunnel):
            return False
        tunnel.guard.close()
        return True

    def reachable(self, key_id: str) -> dict[int, str]:
        """The app ports for which a stream may be opened now, each with its alias, or an empty one.

        Of aliases that several agents give the oldest one's counts.
        """
        found: dict[int, str] = {}
        taken: set[str] = set()
        for tunnel in self.of(key_id):
            aliases = dict(tunnel.offer.aliases) if tunnel.offer is not None else {}
            for port in tunnel.ports:
                if not tunnel.serves(port):
                    continue
                alias = aliases.get(port, "")
                if alias in taken or not is_alias(alias):
                    alias = ""
                if not found.setdefault(port, alias) and alias:
                    found[port] = alias
                if alias and found[port] == alias:
                    taken.add(alias)
        return dict(sorted(found.items()))

    def offers(self, key_id: str, port: int, but: Tunnel | None = None) -> bool:
        """Whether any tunnel of the key, but that one, has the port, so that its listener stays open."""
        return any(tunnel.offers(port) for tunnel in self.of(key_id) if tunnel is not but)

    def pick(self, key_id: str, port: int) -> Tunnel | None:
        """The tunnel for a new stream: of those that serve the port the one with the fewest streams.

        One that is shut, or whose target failed lately, is passed over while there is another. When all are,
        it is one of them: somebody was accepted just before, or the target may be back.
        """
        now = time.monotonic()
        return min(
            self._serving(key_id, port),
            key=lambda one: (one.guard.shut, one.fails(port, now), one.mux.session.streams),
            default=None,
        )

    def is_full(self, key_id: str, port: int) -> bool:
        """Whether there are tunnels that serve the port, and all are shut."""
        serving = self._serving(key_id, port)
        return bool(serving) and all(tunnel.guard.shut for tunnel in serving)

    def _serving(self, key_id: str, port: int) -> list[Tunnel]:
        return [tunnel for tunnel in self.of(key_id) if tunnel.serves(port)]
