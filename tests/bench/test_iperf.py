"""What iperf3 says is read as it was meant."""

import json

import pytest

from bench.loads.iperf import parse
from bench.programs import Broken
from tests.bench.given import recorded


def test_upwards_the_server_knows_what_arrived_in_each_second() -> None:
    bulk = parse(recorded("iperf3-up-server.json"), recorded("iperf3-up-client.json"))
    whole = json.loads(recorded("iperf3-up-client.json"))["end"]["sum_received"]["bits_per_second"]
    assert bulk.rate == pytest.approx(whole / 1e9)
    assert len(bulk.by_second) == 2, "the last milliseconds are no second"
    assert sum(bulk.by_second) / 2 == pytest.approx(bulk.rate, rel=0.05)


def test_downwards_streams_count_together() -> None:
    said = recorded("iperf3-down-client.json")
    bulk = parse(said, said)
    streams = json.loads(said)["end"]["streams"]
    assert len(streams) == 2
    assert bulk.rate == pytest.approx(sum(each["receiver"]["bits_per_second"] for each in streams) / 1e9)


def test_a_test_that_failed_says_why() -> None:
    said = recorded("iperf3-refused.json")
    with pytest.raises(Broken, match="Connection refused"):
        parse(said, said)


def test_half_a_report_is_none() -> None:
    said = recorded("iperf3-down-client.json")
    with pytest.raises(Broken, match="did not finish"):
        parse(said, said[: len(said) // 2])
