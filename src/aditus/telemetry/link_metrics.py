"""What Prometheus reads from agents and sidecars, which dial relays: figures that are taken when it asks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """One link to a relay. Times are Unix seconds; None: not known now."""

    relay: str  # host[:port] as dialled
    slot: int
    is_up: bool
    attaches: int  # since the start
    rtt_seconds: float | None
    certificate_ends_at: float | None


@dataclass(frozen=True, slots=True)
class DialerFigures:
    """What a dialer knows of itself at one moment; counts are since its start."""

    links: Sequence[LinkFigures]
    streams: int  # open now
    streams_total: int
    bytes_in: int  # payload, from the apps to the services
    bytes_out: int


class DialerMetrics:
    """Shows figures; `collect` is called at each scrape. No label has a private name in it."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def render(self) -> bytes:
        """The answer to a scrape, of type `content_type`."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def describe(self) -> Iterable["Metric"]:
        """prometheus_client asks before the program runs: it is told nothing."""
        return ()

    def collect(self) -> Iterable["Metric"]:
        """prometheus_client's way to ask."""
        raise NotImplementedError


def families(prefix: str, figures: DialerFigures) -> Iterable["Metric"]:
    """What every dialer shows, under names that begin with `prefix`."""
    from prometheus_client.core import CounterMetricFamily as Counter
    from prometheus_client.core import GaugeMetricFamily as Gauge

    by_link = ["relay", "slot"]
    up = Gauge(f"{prefix}_link_up", "Whether this link is attached.", labels=by_link)
    reconnects = Counter(f"{prefix}_reconnects", "Attaches after the first.", labels=by_link)
    rtt = Gauge(f"{prefix}_round_trip_seconds", "Round-trip time to the relay.", labels=by_link)
    certificate = Gauge(
        f"{prefix}_certificate_expires_at_seconds",
        "When the relay's certificate ends, Unix seconds.",
        labels=by_link,
    )
    for link in figures.links:
        labels = [link.relay, str(link.slot)]
        up.add_metric(labels, float(link.is_up))
        reconnects.add_metric(labels, max(0, link.attaches - 1))
        if link.rtt_seconds is not None:
            rtt.add_metric(labels, link.rtt_seconds)
        if link.certificate_ends_at is not None:
            certificate.add_metric(labels, link.certificate_ends_at)
    moved = Counter(f"{prefix}_bytes", "Payload bytes, in from apps and out to them.", labels=["direction"])
    moved.add_metric(["in"], figures.bytes_in)
    moved.add_metric(["out"], figures.bytes_out)
    yield from (up, reconnects, rtt, certificate, moved)
    yield Gauge(f"{prefix}_streams", "Streams that are open now.", value=figures.streams)
    yield Counter(f"{prefix}_opened_streams", "Streams opened since the start.", value=figures.streams_total)
