"""What Prometheus reads from a sidecar."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aditus.telemetry.link_metrics import DialerFigures, DialerMetrics, families

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX = "aditus_sidecar"


@dataclass(frozen=True, slots=True)
class SidecarFigures(DialerFigures):
    """What a sidecar knows of itself at one moment."""

    ports: Sequence[int]  # app ports that can be reached now
    refusals: Mapping[str, int]  # connections of apps that got no stream, by reason token


class SidecarMetrics(DialerMetrics):
    """The figures of one sidecar; `read` is called at each scrape."""

    def __init__(self, read: Callable[[], SidecarFigures]) -> None:
        self._read = read
        super().__init__()

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.core import CounterMetricFamily as Counter
        from prometheus_client.core import GaugeMetricFamily as Gauge

        figures = self._read()
        yield from families(PREFIX, figures)
        ports = Gauge(f"{PREFIX}_port_up", "1: an agent offers this app port now.", labels=["port"])
        for port in figures.ports:
            ports.add_metric([str(port)], 1.0)
        refusals = Counter(
            f"{PREFIX}_refusals", "Connections of apps that got no stream, by reason.", labels=["reason"]
        )
        for reason, count in figures.refusals.items():
            refusals.add_metric([reason], count)
        yield from (ports, refusals)
