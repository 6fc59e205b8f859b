"""What Prometheus reads from an agent: figures that are taken when it asks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX = "aditus_agent"


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
class AgentFigures:
    """What an agent knows of itself at one moment; counts are since its start."""

    links: Sequence[LinkFigures]
    streams: int  # open now
    streams_total: int
    bytes_in: int  # payload, from the apps to the services
    bytes_out: int
    specs: Mapping[int, bool]  # by app port: whether its target is not known to fail
    dial_errors: Mapping[tuple[int, str], int]  # by app port and reason token
    key_expires_at: float | None  # Unix seconds, as a relay tells it


class AgentMetrics:
    """Shows the figures of one agent; `read` is called at each scrape. No label has a private name in it."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, read: Callable[[], AgentFigures]) -> None:
        from prometheus_client import CollectorRegistry, ProcessCollector

        self._read = read
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(self)

    def render(self) -> bytes:
        """The answer to a scrape, of type `content_type`."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def describe(self) -> Iterable["Metric"]:
        """prometheus_client asks before the agent runs: it is told nothing."""
        return ()

    def collect(self) -> Iterable["Metric"]:
        """prometheus_client's way to ask."""
        from prometheus_client.core import CounterMetricFamily as Counter
        from prometheus_client.core import GaugeMetricFamily as Gauge

        figures = self._read()
        by_link = ["relay", "slot"]
        up = Gauge(f"{PREFIX}_link_up", "Whether this link is attached.", labels=by_link)
        reconnects = Counter(f"{PREFIX}_reconnects", "Attaches after the first.", labels=by_link)
        rtt = Gauge(f"{PREFIX}_round_trip_seconds", "Round-trip time to the relay.", labels=by_link)
        certificate = Gauge(
            f"{PREFIX}_certificate_expires_at_seconds",
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
        moved = Counter(
            f"{PREFIX}_bytes", "Payload bytes, in from apps and out to them.", labels=["direction"]
        )
        moved.add_metric(["in"], figures.bytes_in)
        moved.add_metric(["out"], figures.bytes_out)
        specs = Gauge(
            f"{PREFIX}_spec_up", "0: the last dial to the service of this app port failed.", labels=["port"]
        )
        for port, is_up in figures.specs.items():
            specs.add_metric([str(port)], float(is_up))
        errors = Counter(f"{PREFIX}_dial_errors", "Dials to services that failed.", labels=["port", "reason"])
        for (port, reason), count in figures.dial_errors.items():
            errors.add_metric([str(port), reason], count)
        expiry = Gauge(
            f"{PREFIX}_key_expires_at_seconds", "When the access key ends, Unix seconds; absent: never."
        )
        if figures.key_expires_at is not None:
            expiry.add_metric([], figures.key_expires_at)
        yield from (up, reconnects, rtt, certificate, moved, specs, errors, expiry)
        yield Gauge(f"{PREFIX}_streams", "Streams that are open now.", value=figures.streams)
        yield Counter(
            f"{PREFIX}_opened_streams", "Streams opened since the start.", value=figures.streams_total
        )
