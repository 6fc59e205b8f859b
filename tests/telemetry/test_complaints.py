"""What others can cause as often as they like fills no log, and is counted all the same."""

import logging

import pytest

from aditus.telemetry import complaints
from aditus.telemetry.complaints import LINES, Complaints
from tests.ends import until


async def test_a_flood_is_a_few_lines_and_then_a_number(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complaints, "SECONDS", 0.05)
    said = Complaints()
    for port in range(10_000):
        said.warn("refused a stream", port=port)
    said.warn("target failed", "db", reason="refused")
    assert len(caplog.records) == LINES + 1  # another kind is heard beside it
    await until(lambda: len(caplog.records) == LINES + 2, "the sum")
    assert caplog.records[-1].__dict__["fields"]["lines"] == 10_000 - LINES
    caplog.clear()
    said.warn("refused a stream", port=1)
    [again] = caplog.records
    assert (again.levelno, again.getMessage()) == (logging.WARNING, "refused a stream")
    await until(lambda: not said._said, "the span is over")
    assert caplog.records == [again]  # one line is no flood
