"""What Prometheus reads from a server, which counts as it goes."""

CUT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)  # the promise is 0.1 s for 99 of 100
DATABASE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
REQUEST_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
PREFIX = "aditus"


class ServerMetrics:
    """The figures of one server process, in a registry of their own. Safe to use from several threads.

    Labels have few values: `direction` is in (from the app) or out (to it), `reason` one of the tokens of
    contract and protocol, never anything that a stranger sent.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.tunnels = Gauge(f"{PREFIX}_tunnels", "Tunnels that are attached now.", registry=registry)
        self.streams = Gauge(f"{PREFIX}_streams", "Streams that are open now.", registry=registry)
        # Not aditus_streams_total: in OpenMetrics that is the gauge's own family.
        self.streams_total = Counter(
            f"{PREFIX}_opened_streams_total", "Streams opened since the start.", registry=registry
        )
        bytes_total = Counter(
            f"{PREFIX}_bytes_total",
            "Payload bytes, in from apps and out to them.",
            ["direction"],
            registry=registry,
        )
        self.bytes_in = bytes_total.labels("in")
        self.bytes_out = bytes_total.labels("out")
        self._refusals = Counter(
            f"{PREFIX}_refusals_total",
            "Connections and attaches refused, by reason.",
            ["reason"],
            registry=registry,
        )
        self.violations = Counter(
            f"{PREFIX}_violations_total",
            "Sessions closed because their peer broke the protocol.",
            registry=registry,
        )
        self.dropped_records = Counter(
            f"{PREFIX}_dropped_stream_records_total",
            "Finished streams of which no record is kept, because too many ended at once.",
            registry=registry,
        )
        self.cut_seconds = Histogram(
            f"{PREFIX}_cut_seconds",
            "From the commit of a revoke or suspend to the last cut.",
            buckets=CUT_BUCKETS,
            registry=registry,
        )
        self.loop_lag_seconds = Gauge(
            f"{PREFIX}_loop_lag_seconds", "How late the relay's loop last woke up.", registry=registry
        )
        self.database_seconds = Histogram(
            f"{PREFIX}_database_seconds",
            "Time of transactions, read or write, with the wait for their turn.",
            ["transaction"],
            buckets=DATABASE_BUCKETS,
            registry=registry,
        )
        self.request_seconds = Histogram(
            f"{PREFIX}_api_request_seconds",
            "From an API request to the beginning of its answer, by class of status.",
            ["status"],
            buckets=REQUEST_BUCKETS,
            registry=registry,
        )
        self.key_changes = Counter(
            f"{PREFIX}_key_changes_total",
            "Keys that were made or changed, by the state that they are in now.",
            ["state"],
            registry=registry,
        )
        self.access_keys = Gauge(
            f"{PREFIX}_access_keys",
            "Unrevoked keys of a subscription in a region.",
            ["region", "subscription"],
            registry=registry,
        )
        self.access_keys_limit = Gauge(
            f"{PREFIX}_access_keys_limit",
            "How many unrevoked keys it may have.",
            ["region", "subscription"],
            registry=registry,
        )
        self.keys_expiring = Gauge(
            f"{PREFIX}_keys_expiring",
            "Unrevoked keys that expire within so many days.",
            ["days"],
            registry=registry,
        )
        self.event_followers = Gauge(
            f"{PREFIX}_event_followers", "Streams of events that are open now.", registry=registry
        )
        self._registry = registry

    def refused(self, reason: str, count: int = 1) -> None:
        """Count refusals under their stable token."""
        self._refusals.labels(reason).inc(count)

    def request(self, status: int, seconds: float) -> None:
        """Count an answer of the API."""
        self.request_seconds.labels(f"{status // 100}xx").observe(seconds)

    def key_changed(self, state: str) -> None:
        """Count a key that was made or changed; `state` is the one that it is in now."""
        self.key_changes.labels(state).inc()

    def transaction(self, kind: str, seconds: float) -> None:
        """Count a transaction; `kind` is read or write."""
        self.database_seconds.labels(kind).observe(seconds)

    def render(self) -> bytes:
        """The answer to a scrape, of type `content_type`."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    @property
    def content_type(self) -> str:
        from prometheus_client import CONTENT_TYPE_LATEST

        return CONTENT_TYPE_LATEST
