"""What a relay knows of keys, and what it tells of tunnels, streams and refusals, as frozen values.

Times and ids are as in `domain.model`. No value here holds a secret.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from aditus.domain.model import KeyState


@dataclass(frozen=True, slots=True)
class RelaySecret:
    """A raw Ed25519 public key of 32 bytes; from `ends_at` on the secret to it is replaced."""

    public_key: bytes
    ends_at: float | None = None


@dataclass(frozen=True, slots=True)
class RelayKey:
    """All that a relay knows of a key. Of its secrets at most two are live; the newest comes last."""

    key_id: str
    access_key_id: str
    subscription_id: str
    region: str
    state: KeyState
    secrets: tuple[RelaySecret, ...]
    connect_id: str  # empty once revoked
    expires_at: float | None = None
    allowed_ports: frozenset[int] | None = None  # None: any
    allowed_sources: tuple[IPv4Network | IPv6Network, ...] | None = None  # None: any


@dataclass(frozen=True, slots=True)
class RelayCredential:
    """One credential of an app: a raw Ed25519 public key of 32 bytes, and whether it was revoked."""

    credential_id: str
    public_key: bytes
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class RelayApp:
    """All that a relay knows of an app. One that was deleted has no key, and revoked credentials alone."""

    app_id: str
    name: str
    subscription_id: str
    key_id: str  # its association; empty: none
    region: str  # of that key
    credentials: tuple[RelayCredential, ...]  # of the revoked ones those that are remembered


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """The keys and apps of a region that changed after an epoch, up to and with `epoch`."""

    region: str
    epoch: int
    keys: tuple[RelayKey, ...]
    apps: tuple[RelayApp, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamView:
    """One live TCP conversation, as a relay sees it. Bytes are payload: in = from the app, out = to it."""

    tunnel_id: str
    stream: int
    port: int
    source: str  # who connected, "host:port"
    opened_at: float
    bytes_in: int
    bytes_out: int


@dataclass(frozen=True, slots=True)
class KeyUse:
    """An agent is attached with this secret of a key, or was just now."""

    key_id: str
    public_key: bytes
    at: float
    source: str  # the address that it came from
    instance: str  # 32 hex digits
    version: str  # of the agent's program


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """A sidecar is attached with this credential of an app, or was just now."""

    credential_id: str
    at: float
    source: str  # the address that it came from
    version: str  # of the sidecar's program


@dataclass(frozen=True, slots=True)
class StreamRecord:
    """One finished stream. Bytes are payload: in = from the app, out = to it."""

    subscription_id: str
    region: str
    key_id: str
    access_key_id: str
    tunnel_id: str
    instance: str
    port: int
    app_id: str  # empty: through the listener
    source: str  # who connected, "host:port"
    opened_at: float
    finished_at: float
    bytes_in: int
    bytes_out: int
    setup_ms: float | None  # from OPEN to ACCEPT; None: never accepted
    reason: str  # "closed", or the token of the RESET
    record_id: int = 0  # given by the store


@dataclass(frozen=True, slots=True)
class KeyRefusal:
    """Proven agents of one key that were refused for one reason from one source, since the last report."""

    key_id: str
    reason: str
    source: str
    refusals: int


@dataclass(frozen=True, slots=True)
class StrangerRefusal:
    """Refusals of who proved nothing, of one source in one minute (Unix seconds // 60)."""

    minute: int
    source: str  # empty: those beyond the bound, together
    reason: str
    refusals: int


@dataclass(frozen=True, slots=True)
class RelayReport:
    """What a relay saw since its last report, for the control plane to keep. Bounded by the relay."""

    uses: tuple[KeyUse, ...] = ()
    credential_uses: tuple[CredentialUse, ...] = ()
    streams: tuple[StreamRecord, ...] = ()
    key_refusals: tuple[KeyRefusal, ...] = ()
    stranger_refusals: tuple[StrangerRefusal, ...] = ()

    def __bool__(self) -> bool:
        uses, refusals = self.uses or self.credential_uses, self.key_refusals or self.stranger_refusals
        return bool(uses or self.streams or refusals)


@dataclass(frozen=True, slots=True)
class PortStatus:
    """What a relay answered to one offered port: accepted, or why not."""

    port: int
    accepted: bool
    verdict: str  # token of `wire.frames.Verdict`, lower case with hyphens
    detail: str = ""

    @property
    def reachable(self) -> bool:
        """Whether sidecars reach it: what keeps a listener from a port is no reason against it."""
        return self.verdict != "port-not-allowed"


@dataclass(frozen=True, slots=True)
class TunnelView:
    """One live attachment of an agent, as a relay sees it."""

    tunnel_id: str
    key_id: str
    access_key_id: str
    subscription_id: str
    region: str
    instance: str  # 32 hex digits
    slot: int
    agent_version: str
    agent_host: str
    peer: str  # the address it came from
    attached_at: float
    ports: tuple[PortStatus, ...]
    streams: int
    streams_total: int
    bytes_in: int
    bytes_out: int
    rtt_ms: float | None = None
    old_secret: bool = False  # its key was rotated, and it still uses the secret before


@dataclass(frozen=True, slots=True)
class SidecarView:
    """One live attachment of a sidecar, as a relay sees it. Bytes are payload: in = from the app."""

    app_id: str
    subscription_id: str
    credential_id: str
    instance: str  # 32 hex digits
    slot: int
    version: str  # of its program
    host: str
    peer: str  # the address it came from
    attached_at: float
    ports: tuple[int, ...]  # that it was told it can reach
    streams: int
    streams_total: int
    bytes_in: int
    bytes_out: int
    rtt_ms: float | None = None
