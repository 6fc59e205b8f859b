"""A whole control plane for tests, over any database: real but for the clock and the relays."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import insert

from aditus.control.service import services
from aditus.control.service.services import Services
from aditus.crypto.tokens import token_hash
from aditus.domain.keytext import format_token
from aditus.domain.model import AccessKey, AuditEvent, Caller, Cut, KeyState, Region, Role, Subscription
from aditus.domain.policy import key_verdict
from aditus.domain.relays import KeyChanges, PortStatus, RelayKey, SidecarView, StreamView, TunnelView
from aditus.store import keys, people, regions, subscriptions
from aditus.store.database import Database
from aditus.store.schema import access_keys, key_secrets, roles

REGION = "local"
RELAY_URL = "wss://localhost:8443"
CAPABILITY = "integration"
START = 1_800_000_000.0


@dataclass
class Clock:
    """Unix seconds that stand still until they are moved."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Relays:
    """`LiveRelays` with tunnels that tests put up; remembers what it was told."""

    clock: Clock
    told: list[KeyChanges] = field(default_factory=list)
    known: dict[str, RelayKey] = field(default_factory=dict)
    live: list[TunnelView] = field(default_factory=list)
    attached_sidecars: list[SidecarView] = field(default_factory=list)

    def attach(self, key: AccessKey, *ports: int, streams: int = 0) -> TunnelView:
        """Put up a tunnel, as an agent with this key would."""
        tunnel = TunnelView(
            tunnel_id=f"tunnel{len(self.live)}",
            key_id=key.key_id,
            access_key_id=key.access_key_id,
            subscription_id=key.subscription_id,
            region=key.region,
            instance="00" * 16,
            slot=0,
            agent_version="1",
            agent_host="host",
            peer="192.0.2.1:5000",
            attached_at=self.clock.now,
            ports=tuple(PortStatus(port, accepted=True, verdict="accepted") for port in ports),
            streams=streams,
            streams_total=streams,
            bytes_in=1,
            bytes_out=2,
        )
        self.live.append(tunnel)
        return tunnel

    def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
        assert committed_at > 0
        self.told.append(changes)
        self.known |= {key.key_id: key for key in changes.keys}
        dead = [key.key_id for key in changes.keys if not key_verdict(key, self.clock.now)]
        cuts = self.would_cut(dead)
        self.live = [tunnel for tunnel in self.live if tunnel.key_id not in dead]
        return cuts

    def would_cut(self, key_ids: Iterable[str]) -> Sequence[Cut]:
        return [
            Cut(
                key_id,
                sum(tunnel.key_id == key_id for tunnel in self.live),
                sum(tunnel.streams for tunnel in self.live if tunnel.key_id == key_id),
            )
            for key_id in key_ids
        ]

    def tunnels(self, subscription_id: str) -> Sequence[TunnelView]:
        return [tunnel for tunnel in self.live if tunnel.subscription_id == subscription_id]

    def streams(self, subscription_id: str) -> Sequence[StreamView]:
        return [
            StreamView(tunnel.tunnel_id, number, 5432, "127.0.0.1:40000", self.clock.now, 3, 4)
            for tunnel in self.tunnels(subscription_id)
            for number in range(tunnel.streams)
        ]

    def sidecars(self, subscription_id: str) -> Sequence[SidecarView]:
        return [one for one in self.attached_sidecars if one.subscription_id == subscription_id]

    def cut_tunnel(self, subscription_id: str, tunnel_id: str) -> bool:
        kept = [tunnel for tunnel in self.live if tunnel.tunnel_id != tunnel_id]
        found = len(kept) < len(self.live)
        self.live = kept
        return found


class ControlPlane:
    """The services over a database as a first start leaves it. `owner` asks unless a test says otherwise."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock()
        self.relays = Relays(self.clock)
        self.services: Services = services.build(database, self.relays, self.clock)
        self._number = itertools.count(1)
        self.token = self._first_start()
        self.owner = self.services.auth.caller(self.token)
        with database.read() as tx:
            self.subscription = subscriptions.of_organization(tx, self.owner.organization_id)[0]

    def _first_start(self) -> str:
        """As `bootstrap.ensure`, which has tests of its own and hashes a password slowly."""
        secret = bytes(range(32))
        now = self.clock.now
        default = Subscription("defaultsub", "defaultorg", "defaultloc", "default", (CAPABILITY,), (REGION,))
        with self.database.write() as tx:
            subscriptions.add_organization(tx, "defaultorg", "default", now)
            regions.add(tx, Region(REGION, RELAY_URL), now)
            subscriptions.add(tx, default, 500, now)
            people.add_user(tx, "owner", "defaultorg", "owner@localhost", "-", Role.OWNER, now)
            people.add_token(
                tx, "ownertoken00", "owner", "first", token_hash(secret), Role.OWNER, None, None, now
            )
        return format_token("ownertoken00", secret).reveal()

    def generate(self, access_key_id: str, region: str = REGION) -> AccessKey:
        """A key of this name, by the owner."""
        return self.services.keys.generate(self.owner, "0", region, access_key_id, CAPABILITY).key

    def fill(self, count: int) -> None:
        """So many more active keys, straight into the tables."""
        with self.database.write() as tx:
            epoch = regions.lock_epoch(tx, REGION)
            rows = [
                {
                    "key_id": f"filled{next(self._number):06}",
                    "access_key_id": f"filled {index:06}",
                    "subscription_id": self.subscription.subscription_id,
                    "region": REGION,
                    "capability": CAPABILITY,
                    "description": "",
                    "state": KeyState.ACTIVE.value,
                    "connect_id": f"connect{index:06}",
                    "epoch": epoch,
                    "created_at": self.clock.now,
                    "created_by": "test",
                    "revoked_by": "",
                }
                for index in range(count)
            ]
            tx.execute(insert(access_keys), rows)
            secrets = [
                {
                    "key_id": row["key_id"],
                    "public_key": bytes(32),
                    "created_at": self.clock.now,
                }
                for row in rows
            ]
            tx.execute(insert(key_secrets), secrets)

    def add_region(self, region: str, *capabilities: str) -> None:
        """Let the default subscription use a new region, with these capabilities."""
        with self.database.write() as tx:
            regions.add(tx, Region(region, f"wss://{region}.example"), self.clock.now)
            subscriptions.open_region(tx, self.subscription.subscription_id, region, capabilities, 500)

    def stranger(self) -> Caller:
        """The owner of another organisation, which has a subscription of its own."""
        with self.database.write() as tx:
            subscriptions.add_organization(tx, "otherorg", "other", self.clock.now)
            other = Subscription("othersub", "otherorg", "otherloc", "other", (CAPABILITY,), (REGION,))
            subscriptions.add(tx, other, 500, self.clock.now)
            people.add_user(tx, "otherowner", "otherorg", "o@other", "-", Role.OWNER, self.clock.now)
        return Caller("otherowner", "o@other", "otherorg", Role.OWNER)

    def person(self, role: Role) -> Caller:
        """Somebody of the owner's organisation; a team administrator has the default subscription."""
        user_id = f"user{next(self._number)}"
        team = role is Role.TEAM_ADMIN
        with self.database.write() as tx:
            people.add_user(
                tx, user_id, self.owner.organization_id, f"{user_id}@x", "-", role, self.clock.now
            )
            if team:
                tx.execute(
                    insert(roles).values(
                        user_id=user_id,
                        subscription_id=self.subscription.subscription_id,
                        role=Role.TEAM_ADMIN.value,
                    )
                )
        admin_of = frozenset({self.subscription.subscription_id} if team else ())
        return Caller(user_id, f"{user_id}@x", self.owner.organization_id, role, admin_of)

    def events(self) -> tuple[AuditEvent, ...]:
        """What was recorded, newest first."""
        return self.services.events.list(self.owner, "0", limit=500).items

    def stored(self, key: AccessKey) -> AccessKey:
        """The key as it is now."""
        with self.database.read() as tx:
            return keys.by_id(tx, [key.key_id], self.clock.now)[key.key_id]
