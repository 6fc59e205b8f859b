"""What a scrape reads."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aditus.telemetry.server_metrics import ServerMetrics


def scrape(metrics: ServerMetrics) -> dict[tuple[str, str], float]:
    """Every sample of ours by its name and the value of its label."""
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name.startswith("aditus_") and not sample.name.endswith("_created")
    }


def test_what_is_counted_is_what_a_scrape_reads() -> None:
    metrics = ServerMetrics()
    metrics.tunnels.inc(2)
    metrics.streams.inc()
    metrics.streams.dec()
    metrics.streams_total.inc()
    metrics.bytes_in.inc(100)
    metrics.bytes_out.inc(65_536)
    metrics.refused("no-agent", 3)
    metrics.refused("bad-proof")
    metrics.refused("bad-proof")
    metrics.violations.inc(2)
    metrics.cut_seconds.observe(0.02)
    metrics.loop_lag_seconds.set(0.003)
    read = scrape(metrics)
    assert read["aditus_tunnels", ""] == 2
    assert read["aditus_streams", ""] == 0
    assert read["aditus_opened_streams_total", ""] == 1
    assert read["aditus_bytes_total", "in"] == 100
    assert read["aditus_bytes_total", "out"] == 65_536
    assert read["aditus_refusals_total", "bad-proof"] == 2
    assert read["aditus_refusals_total", "no-agent"] == 3
    assert read["aditus_violations_total", ""] == 2
    assert read["aditus_cut_seconds_count", ""] == 1
    assert read["aditus_cut_seconds_bucket", "0.01"] == 0
    assert read["aditus_cut_seconds_bucket", "0.025"] == 1
    assert read["aditus_loop_lag_seconds", ""] == pytest.approx(0.003)


def test_an_idle_server_shows_zeros_and_not_gaps() -> None:
    read = scrape(ServerMetrics())
    assert (
        read["aditus_bytes_total", "in"]
        == read["aditus_bytes_total", "out"]
        == read["aditus_tunnels", ""]
        == read["aditus_violations_total", ""]
        == 0
    )


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = ServerMetrics(), ServerMetrics()
    one.tunnels.inc()
    assert scrape(other)["aditus_tunnels", ""] == 0


def test_the_process_itself_is_measured_too() -> None:
    assert b"process_resident_memory_bytes" in ServerMetrics().render()


def test_the_answer_names_its_format() -> None:
    assert ServerMetrics().content_type.startswith("text/plain")
