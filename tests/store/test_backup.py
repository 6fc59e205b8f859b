"""A backup is one moment of the database, whole, also while somebody writes; and never replaces a file."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import select

from aditus.domain.audit_chain import Head, Verifier
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import AuditEvent
from aditus.store import audit_chain, backup, events
from aditus.store.database import Database, open_database
from aditus.store.schema import metadata


def record(database: Database, number: int) -> None:
    with database.write() as tx:
        for part in range(2):
            entry = AuditEvent(0, 1.8e9 + number, "u", "owner", "test", f"{number}-{part}", "x" * 2000)
            events.add(tx, "acme", None, entry)


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.read() as tx:
        return {
            table.name: [tuple(row) for row in tx.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


def is_whole(file: Path) -> bool:
    with closing(sqlite3.connect(file)) as opened:
        return opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_backup_is_equal(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/aditus.db")
    record(database, 1)
    backup.write(tmp_path / "aditus.db", tmp_path / "open.db")
    before = rows(database)
    database.close()
    backup.write(tmp_path / "aditus.db", tmp_path / "closed.db")
    for name in ("open.db", "closed.db"):
        file = tmp_path / name
        assert file.stat().st_mode & 0o777 == 0o600
        assert is_whole(file)
        restored = open_database(f"sqlite:///{file}")
        assert rows(restored) == before
        restored.close()
    assert not list(tmp_path.glob(".*"))


def test_a_backup_while_somebody_writes_is_of_one_moment(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/aditus.db")
    enough = threading.Event()
    written: list[int] = []

    def write() -> None:
        number = 0
        while not enough.is_set():
            record(database, number)
            written.append(number)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            committed = len(written)
            backup.write(tmp_path / "aditus.db", tmp_path / f"{number}.db")
            restored = open_database(f"sqlite:///{tmp_path}/{number}.db")
            with restored.read() as tx:
                entries = audit_chain.page(tx, "acme", after=0, limit=1_000_000)
                head = audit_chain.head(tx, "acme") or Head()
            restored.close()
            verifier = Verifier()
            for entry in entries:
                verifier.see(entry.content, entry.hash)
            assert verifier.end(head).ok
            assert len(entries) % 2 == 0  # a transaction is in it, or not
            assert len(entries) >= 2 * committed
    finally:
        enough.set()
        writer.join()
        database.close()


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path}/aditus.db").close()
    (tmp_path / "old.db").write_text("mine")
    with pytest.raises(AditusError, match="never overwritten") as raised:
        backup.write(tmp_path / "aditus.db", tmp_path / "old.db")
    assert raised.value.code is Code.CONFLICT
    assert (tmp_path / "old.db").read_text() == "mine"
    assert not list(tmp_path.glob(".*"))


def test_what_cannot_be_backed_up_is_told(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="no database"):
        backup.write(tmp_path / "aditus.db", tmp_path / "new.db")
    (tmp_path / "aditus.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(AditusError, match="not a database"):
        backup.write(tmp_path / "aditus.db", tmp_path / "new.db")
    with pytest.raises(AditusError, match="no such file"):
        backup.write(tmp_path / "aditus.db", tmp_path / "nowhere" / "new.db")
    assert not (tmp_path / "new.db").exists()
