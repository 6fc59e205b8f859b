"""Stream records in SQL: what was added is found, newest first, until it is too old or too many."""

import dataclasses

import pytest

from aditus.domain.relays import StreamRecord
from aditus.store import stream_records
from aditus.store.database import Database
from aditus.store.stream_records import Wanted

NOW = 1_800_000_000.0
RECORD = StreamRecord(
    *("s", "r", "k1", "orders", "t1", "00" * 16, 5432, "", "127.0.0.1:40000"),
    *(NOW - 2, NOW - 1, 10, 2**40, 1.5, "closed"),
)


def add(database: Database, *records: StreamRecord) -> None:
    with database.write() as tx:
        stream_records.add(tx, records)


def found(
    database: Database,
    wanted: Wanted = Wanted(),  # noqa: B008  a frozen value
    *,
    before: int | None = None,
    limit: int = 10,
) -> list[StreamRecord]:
    with database.read() as tx:
        return list(stream_records.page(tx, "s", wanted, NOW, before=before, limit=limit))


def test_a_record_comes_back_as_it_was(database: Database) -> None:
    unaccepted = dataclasses.replace(RECORD, setup_ms=None, reason="target-refused")
    add(database)
    add(database, RECORD, unaccepted, dataclasses.replace(RECORD, subscription_id="other"))
    newest, oldest = found(database)
    assert dataclasses.replace(oldest, record_id=0) == RECORD
    assert dataclasses.replace(newest, record_id=0) == unaccepted
    assert newest.record_id > oldest.record_id > 0


@pytest.mark.parametrize(
    ("wanted", "ports"),
    [
        (Wanted(), [3, 2, 1]),
        (Wanted(access_key_id="billing"), [2]),
        (Wanted(port=3), [3]),
        (Wanted(reason="revoked"), [3]),
        (Wanted(since=NOW - 20), [3, 2]),
        (Wanted(until=NOW - 20), [1]),
        (Wanted(since=NOW - 30, until=NOW - 10), [1]),
        (Wanted(access_key_id="billing", port=1), []),
    ],
)
def test_one_can_ask_for_some_of_them(database: Database, wanted: Wanted, ports: list[int]) -> None:
    add(
        database,
        dataclasses.replace(RECORD, port=1, finished_at=NOW - 30),
        dataclasses.replace(RECORD, port=2, finished_at=NOW - 10, access_key_id="billing"),
        dataclasses.replace(RECORD, port=3, finished_at=NOW - 10, reason="revoked"),
    )
    assert [record.port for record in found(database, wanted)] == ports


def test_pages_neither_skip_nor_repeat(database: Database) -> None:
    add(database, *(dataclasses.replace(RECORD, port=port) for port in range(1, 8)))
    seen: list[StreamRecord] = []
    while some := found(database, before=seen[-1].record_id if seen else None, limit=3):
        seen += some
    assert [record.port for record in seen] == [7, 6, 5, 4, 3, 2, 1]


def test_what_is_too_old_is_not_shown_and_goes_step_by_step(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_records, "PRUNED_AT_ONCE", 2)
    old = dataclasses.replace(RECORD, finished_at=NOW - stream_records.KEPT_SECONDS - 1)
    add(database, *[old] * 3, RECORD)
    assert len(found(database)) == 1
    with database.write() as tx:
        assert stream_records.prune(tx, NOW)
        assert not stream_records.prune(tx, NOW)
        assert len(stream_records.page(tx, "s", Wanted(), NOW - 10, before=None, limit=10)) == 1


def test_of_too_many_the_oldest_go(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_records, "KEPT", 2)
    add(database, *(dataclasses.replace(RECORD, port=port) for port in (1, 2, 3, 4)))
    with database.write() as tx:
        assert not stream_records.prune(tx, NOW)
    assert [record.port for record in found(database)] == [4, 3]
