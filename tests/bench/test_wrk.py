"""What wrk says is read as it was meant, and failed requests are no result."""

import pytest

from bench.loads.wrk import parse
from bench.programs import Broken
from tests.bench.given import recorded


def test_rate_and_latency_are_found() -> None:
    said = recorded("wrk.txt")
    answered = parse(said)
    assert f"Requests/sec: {answered.rate:9.2f}" in " ".join(said.splitlines())
    assert 0 < answered.p50 <= answered.p99


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("670.00us", 0.67), ("1.27ms", 1.27), ("2.50s ", 2_500.0), ("1.50m ", 90_000.0)],
)
def test_every_unit_of_time_becomes_milliseconds(written: str, milliseconds: float) -> None:
    """wrk pads units of one letter on the right."""
    said = [
        f"     99%  {written:>8}" if line.lstrip().startswith("99%") else line
        for line in recorded("wrk.txt").splitlines()
    ]
    assert parse("\n".join(said)).p99 == pytest.approx(milliseconds)


def test_answers_that_refuse_are_no_result() -> None:
    with pytest.raises(Broken, match="requests failed"):
        parse(recorded("wrk-refused.txt"))


def test_a_few_errors_among_many_requests_are_forgiven_and_many_are_not() -> None:
    said = recorded("wrk.txt")
    few = "Socket errors: connect 0, read 3, write 0, timeout 1\n"
    assert parse(said + few) == parse(said)
    with pytest.raises(Broken, match="9003 requests failed"):
        parse(said + few.replace("timeout 1", "timeout 9000"))


def test_what_nobody_expects_is_told() -> None:
    with pytest.raises(Broken, match="unable to connect"):
        parse("unable to connect to 127.0.0.1")
