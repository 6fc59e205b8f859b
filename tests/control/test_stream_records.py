"""Stream records: kept as relays report them, shown to those who may look, forgotten in time."""

import dataclasses

import pytest

from aditus.control.service import reports
from aditus.domain.errors import Code
from aditus.domain.model import AccessKey, Role
from aditus.domain.relays import RelayReport, StreamRecord
from aditus.store.stream_records import KEPT_SECONDS, Wanted
from tests.control.refused import refused
from tests.control_plane import REGION, START, ControlPlane

ALL = Wanted()


def record(key: AccessKey, number: int = 0) -> StreamRecord:
    return StreamRecord(
        *(key.subscription_id, REGION, key.key_id, key.access_key_id, "tunnel0", "00" * 16, 5432, ""),
        *(f"127.0.0.1:{40_000 + number}", START - 2, START - 1, 3, 4, 0.5, "closed"),
    )


def test_what_a_relay_reports_is_shown_page_by_page(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "WRITTEN_AT_ONCE", 2)
    key = plane.generate("berlin")
    sent = [record(key, number) for number in range(5)]
    plane.services.reports.take(REGION, RelayReport(streams=tuple(sent)))
    member = plane.person(Role.MEMBER)
    seen: list[StreamRecord] = []
    cursor = ""
    while True:
        page = plane.services.tunnels.stream_records(member, "0", ALL, cursor=cursor, limit=2)
        seen += page.items
        cursor = page.next_cursor
        if not cursor:
            break
    assert [dataclasses.replace(one, record_id=0) for one in seen] == sent[::-1]


def test_records_go_when_they_are_too_old(on_sqlite: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = on_sqlite
    monkeypatch.setattr(reports, "PRUNE_SECONDS", 0.0)
    key = plane.generate("berlin")
    plane.services.reports.take(REGION, RelayReport(streams=(record(key),)))
    plane.clock.now += KEPT_SECONDS
    late = dataclasses.replace(record(key), finished_at=plane.clock.now)
    plane.services.reports.take(REGION, RelayReport(streams=(late,)))
    plane.clock.now -= KEPT_SECONDS  # so that only a row that is gone is not shown
    shown = plane.services.tunnels.stream_records(plane.owner, "0", ALL).items
    assert [one.finished_at for one in shown] == [late.finished_at]


def test_the_streams_of_others_are_not_found(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite
    plane.services.reports.take(REGION, RelayReport(streams=(record(plane.generate("berlin")),)))
    stranger, tunnels = plane.stranger(), plane.services.tunnels
    assert tunnels.stream_records(stranger, "0", ALL).items == ()
    theirs = plane.subscription.locator
    refused(Code.NOT_FOUND, "not-found", lambda: tunnels.stream_records(stranger, theirs, ALL))


def test_what_cannot_be_asked_is_said(on_sqlite: ControlPlane) -> None:
    plane = on_sqlite

    def ask(wanted: Wanted = ALL, cursor: str = "", limit: int = 1) -> None:
        plane.services.tunnels.stream_records(plane.owner, "0", wanted, cursor=cursor, limit=limit)

    for cursor in ("x", "-1", "1.5", "9" * 19, "²", " 1"):
        refused(Code.INVALID, "bad-cursor", lambda cursor=cursor: ask(cursor=cursor))  # type: ignore[misc]
    refused(Code.INVALID, "bad-limit", lambda: ask(limit=501))
    refused(Code.INVALID, "bad-name", lambda: ask(Wanted(access_key_id="a\0")))
