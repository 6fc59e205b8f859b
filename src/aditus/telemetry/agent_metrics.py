"""What Prometheus reads from an agent."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aditus.telemetry.link_metrics import DialerFigures, DialerMetrics, families

if TYPE_CHECKING:
    from prometheus_client import Metric

PREFIX = "aditus_agent"


@dataclass(frozen=True, slots=True)
class AgentFigures(DialerFigures):
    """What an agent knows of itself at one moment."""

    specs: Mapping[int, bool]  # by app port: whether its target is not known to fail
    dial_errors: Mapping[tuple[int, str], int]  # by app port and reason token
    key_expires_at: float | None  # Unix seconds, as a relay tells it


class AgentMetrics(DialerMetrics):
    """The figures of one agent; `read` is called at each scrape."""

    def __init__(self, read: Callable[[], AgentFigures]) -> None:
        self._read = read
        super().__init__()

    def collect(self) -> Iterable["Metric"]:
        from prometheus_client.core import CounterMetricFamily as Counter
        from prometheus_client.core import GaugeMetricFamily as Gauge

        figures = self._read()
        yield from families(PREFIX, figures)
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
        yield from (specs, errors, expiry)
