"""Who is attached now, and who of them offers what. All in memory, all on the relay's loop."""

import asyncio
import time
from dataclasses import dataclass, field

from aditus.domain.relays import PortStatus
from aditus.net.mux import Mux
from aditus.relay.guard import Guard
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

    def offers(self, port: int) -> bool:
        """Whether this relay serves the port for this tunnel, whose agent does not leave."""
        status = self.ports.get(port)
        return status is not None and status.accepted and not self.mux.session.peer_leaves

    def serves(self, port: int) -> bool:
        """Whether a stream for this port may be opened here now."""
        return self.offers(port) and self.mux.session.registered

    def fails(self, port: int, now: float) -> bool:
        """Whether the target of this port failed lately, and no later stream says otherwise."""
        failed_at = self.failing.get(port)
        return failed_at is not None and now - failed_at < PASSED_OVER_SECONDS


class Registry:
    """The live tunnels, by key and by instance and slot."""

    def __init__(self) -> None:
        self._tunnels: dict[str, Tunnel] = {}
        self._by_key: dict[str, dict[str, Tunnel]] = {}
        self._by_slot: dict[tuple[str, bytes, int], Tunnel] = {}

    def __len__(self) -> int:
        return len(self._tunnels)

    def add(self, tunnel: Tunnel) -> Tunnel | None:
        """Register a tunnel. Returns the one it supersedes: same key, instance and slot, not leaving."""
        slot = (tunnel.key_id, tunnel.instance, tunnel.slot)
        superseded = self._by_slot.get(slot)
        if superseded is not None:
            self.remove(superseded)
        self._tunnels[tunnel.tunnel_id] = tunnel
        self._by_key.setdefault(tunnel.key_id, {})[tunnel.tunnel_id] = tunnel
        self._by_slot[slot] = tunnel
        return superseded

    def free_slot(self, tunnel: Tunnel) -> None:
        """A draining tunnel no longer stands in the way of its successor."""
        slot = (tunnel.key_id, tunnel.instance, tunnel.slot)
        if self._by_slot.get(slot) is tunnel:
            del self._by_slot[slot]

    def remove(self, tunnel: Tunnel) -> bool:
        """Forget a tunnel. False: it was forgotten before."""
        if self._tunnels.pop(tunnel.tunnel_id, None) is None:
            return False
        tunnel.guard.close()
        self.free_slot(tunnel)
        of_key = self._by_key[tunnel.key_id]
        del of_key[tunnel.tunnel_id]
        if not of_key:
            del self._by_key[tunnel.key_id]
        return True

    def all(self) -> list[Tunnel]:
        """Every live tunnel, oldest first."""
        return list(self._tunnels.values())

    def of_key(self, key_id: str) -> list[Tunnel]:
        """The live tunnels of a key, oldest first; draining ones too."""
        return list(self._by_key.get(key_id, {}).values())

    def get(self, tunnel_id: str) -> Tunnel | None:
        return self._tunnels.get(tunnel_id)

    def offers(self, key_id: str, port: int, but: Tunnel | None = None) -> bool:
        """Whether any tunnel of the key, but that one, has the port, so that its listener stays open."""
        return any(tunnel.offers(port) for tunnel in self.of_key(key_id) if tunnel is not but)

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
        return [tunnel for tunnel in self.of_key(key_id) if tunnel.serves(port)]
