"""What the relay shows of its tunnels and streams, as values of the domain."""

from dataclasses import dataclass

from aditus.domain.relays import StreamView, TunnelView
from aditus.relay.keyring import Keyring
from aditus.relay.registry import Tunnel


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of one relay: what is live now, and what there was since its start."""

    tunnels: int
    sidecars: int
    streams: int
    streams_total: int
    bytes_in: int  # payload from apps towards agents
    bytes_out: int
    violations: int  # sessions that ended because their peer broke the protocol


def tunnel_view(tunnel: Tunnel, keyring: Keyring) -> TunnelView:
    """One tunnel, with the names of its key."""
    key = keyring.get(tunnel.key_id)
    mux = tunnel.mux
    return TunnelView(
        tunnel_id=tunnel.tunnel_id,
        key_id=tunnel.key_id,
        access_key_id=key.access_key_id if key is not None else "",
        subscription_id=key.subscription_id if key is not None else "",
        region=key.region if key is not None else "",
        instance=tunnel.instance.hex(),
        slot=tunnel.slot,
        agent_version=tunnel.program,
        agent_host=tunnel.host,
        peer=tunnel.peer,
        attached_at=tunnel.attached_at,
        ports=tuple(tunnel.ports.values()),
        streams=mux.session.streams,
        streams_total=mux.streams_total,
        bytes_in=mux.bytes_sent,
        bytes_out=mux.bytes_received,
        rtt_ms=round(mux.session.rtt * 1000, 3) or None,
        old_secret=key is not None and key.secrets[-1].public_key != tunnel.public_key,
    )


def stream_views(tunnel: Tunnel) -> list[StreamView]:
    """The live streams of one tunnel."""
    return [
        StreamView(
            tunnel_id=tunnel.tunnel_id,
            stream=stream.number,
            port=stream.port,
            source=stream.source,
            opened_at=stream.opened_at,
            bytes_in=stream.bytes_sent,
            bytes_out=stream.bytes_received,
        )
        for stream in tunnel.mux.streams
    ]
