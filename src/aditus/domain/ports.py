"""What one room needs of another that it may not import: the sockets that `wiring` joins.

`control` calls `LiveRelays`; `relay` is fed from `KeySource`; both proofs go through `Signer` and
`Verifier`. The methods of `LiveRelays` are called from the control plane's worker threads and block
until the relay's own thread has done the work; the adapter in `wiring` does the crossing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from aditus.domain.model import Cut
from aditus.domain.relays import KeyChanges, SidecarView, StreamView, TunnelView


class KeySource(Protocol):
    """Where relays learn which keys and apps there are. Reads SQL: never to be called on a relay's loop."""

    def epoch(self, region: str) -> int:
        """The region's epoch: it rises by one with every change of any of its keys, or of an app."""
        ...

    def changes(self, region: str, since: int) -> KeyChanges:
        """All keys and apps changed after epoch `since` (0: all worth knowing, dead ones of 30 days too)."""
        ...


class LiveRelays(Protocol):
    """What the control plane needs of the relays that run now."""

    def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
        """Apply committed changes of keys and apps, and cut what they forbid, before returning.

        `committed_at` is `time.monotonic()` right after the commit; one `Cut` per key that lost its
        right to tunnels, in the order of `changes.keys`.
        """
        ...

    def would_cut(self, key_ids: Iterable[str]) -> Sequence[Cut]:
        """What cutting these keys would end now (the blast radius); changes nothing."""
        ...

    def tunnels(self, subscription_id: str) -> Sequence[TunnelView]:
        """The live tunnels of a subscription, oldest first."""
        ...

    def streams(self, subscription_id: str) -> Sequence[StreamView]:
        """The live streams of a subscription, oldest first."""
        ...

    def sidecars(self, subscription_id: str) -> Sequence[SidecarView]:
        """The live sidecars of a subscription's apps, oldest first."""
        ...

    def cut_tunnel(self, subscription_id: str, tunnel_id: str) -> bool:
        """End one tunnel, without touching its key. False: there is no such tunnel."""
        ...


@dataclass(frozen=True, slots=True)
class ProofClaims:
    """What a bearer proof says of itself, before it is believed."""

    key_id: str
    region: str
    audience: str  # host[:port] as dialled, normalised


@dataclass(frozen=True, slots=True)
class ProofVerdict:
    """`ok`, or one of the tokens `bad-proof` and `clock-skew` in `reason`."""

    ok: bool
    reason: str = ""


class Signer(Protocol):
    """Holds a secret access key and proves it, without ever giving it out."""

    @property
    def key_id(self) -> str: ...

    @property
    def region(self) -> str: ...

    def bearer(self, audience: str, now: float) -> str:
        """A self-signed token for the `Authorization` header, good for 60 s, for one host[:port]."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `message`."""
        ...


class Verifier(Protocol):
    """Checks proofs against public keys that the relay holds in memory."""

    def claims(self, bearer: str) -> ProofClaims:
        """The claims of a bearer proof, NOT verified. Raises `ValueError` when it is not one."""
        ...

    def check_bearer(
        self, bearer: str, public_key: bytes, audiences: Sequence[str], now: float
    ) -> ProofVerdict:
        """Whether the bearer was signed by this key, for one of these names, just now."""
        ...

    def check_signature(self, message: bytes, signature: bytes, public_key: bytes) -> bool:
        """Whether `signature` is that of `message` by this key."""
        ...
