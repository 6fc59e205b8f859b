"""A database is opened only when it is whole, and a transaction is whole or not there."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Region
from aditus.store import database as database_module
from aditus.store import regions as regions_sql
from aditus.store.database import Database, insert_if_absent, open_database
from aditus.store.schema import metadata, organizations, regions
from demo.postgres import PostgresServer

NOW = 1_800_000_000.0
LOCAL = Region("local", "wss://localhost")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "aditus.db"


@pytest.fixture
def on_sqlite(file: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{file}")
    yield opened
    opened.close()


def test_the_migrations_make_what_the_schema_says(database: Database) -> None:
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == "0004"


def test_checks_that_alembic_does_not_compare_are_there_too(database: Database) -> None:
    bad = {"user_id": "u", "organization_id": "o", "email": "e", "password_hash": "h", "role": "king"}
    with database.write() as tx:
        tx.execute(insert(organizations).values(organization_id="o", name="o", created_at=NOW))
    with pytest.raises(IntegrityError), database.write() as tx:
        tx.execute(insert(metadata.tables["users"]).values(**bad, created_at=NOW))


def test_what_was_written_is_there_after_the_next_start(fresh_url: str) -> None:
    opened = open_database(fresh_url)
    with opened.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)
    opened.close()
    again = open_database(fresh_url)
    with again.read() as tx:
        assert regions_sql.every(tx) == (LOCAL,)
    again.close()


def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    def fail_halfway() -> None:
        with database.write() as tx:
            regions_sql.add(tx, LOCAL, NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    with database.read() as tx:
        assert regions_sql.every(tx) == ()


def test_a_reader_sees_one_moment(database: Database) -> None:
    with database.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)
    with database.read() as reader:
        assert regions_sql.epoch(reader, "local") == 0
        with database.write() as writer:
            regions_sql.set_epoch(writer, "local", 7)
        assert regions_sql.epoch(reader, "local") == 0
    with database.read() as reader:
        assert regions_sql.epoch(reader, "local") == 7


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"read-only|does not answer"), database.read() as tx:
        regions_sql.add(tx, LOCAL, NOW)
    with database.read() as tx:
        assert regions_sql.every(tx) == ()


def test_many_writers_lose_no_update(database: Database) -> None:
    with database.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)

    def raise_it() -> None:
        for _ in range(10):
            with database.write() as tx:
                regions_sql.set_epoch(tx, "local", regions_sql.lock_epoch(tx, "local") + 1)

    writers = [threading.Thread(target=raise_it) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with database.read() as tx:
        assert regions_sql.epoch(tx, "local") == 80


def test_one_of_many_inserts_the_same_row(database: Database) -> None:
    won: list[bool] = []

    def add() -> None:
        with database.write() as tx:
            won.append(insert_if_absent(tx, regions, name="r", relay_url="wss://r", epoch=0, created_at=NOW))

    adders = [threading.Thread(target=add) for _ in range(8)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()
    assert sorted(won) == [False] * 7 + [True]


def test_two_servers_that_start_at_once_take_turns(fresh_url: str) -> None:
    """Each sees what the other has finished, from the first migration on."""
    opened: list[Database] = []

    def start() -> None:
        opened.append(open_database(fresh_url))

    servers = [threading.Thread(target=start) for _ in range(2)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    counts: list[int] = []

    def make(one: Database, name: str) -> None:
        with one.exclusive() as tx:
            counts.append(len(regions_sql.every(tx)))
            regions_sql.add(tx, Region(name, "wss://r"), NOW)

    makers = [
        threading.Thread(target=make, args=(one, f"r{number}")) for number, one in enumerate(opened * 4)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    for one in opened:
        one.close()
    assert sorted(counts) == list(range(8))


def test_a_wrong_statement_is_a_defect_and_not_an_outage(database: Database) -> None:
    with pytest.raises(Exception, match="no_such_table") as raised, database.read() as tx:
        tx.execute(text("SELECT * FROM no_such_table"))
    assert not isinstance(raised.value, AditusError)


def test_a_newer_schema_is_left_alone(fresh_url: str) -> None:
    opened = open_database(fresh_url)
    with opened.write() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    opened.close()
    with pytest.raises(AditusError) as raised:
        open_database(fresh_url)
    assert (raised.value.code, raised.value.reason) == (Code.INVALID, "database-newer")
    assert "newer version" in str(raised.value)


def test_sqlite_is_set_up_to_lose_nothing(on_sqlite: Database, file: Path) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "mmap_size": 0}
    for transaction, read_only in ((on_sqlite.read, 1), (on_sqlite.write, 0)):
        with transaction() as tx:
            found = {name: tx.execute(text(f"PRAGMA {name}")).scalar_one() for name in wanted}
            assert found == wanted
            assert tx.execute(text("PRAGMA query_only")).scalar_one() == read_only
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.with_name("aditus.db-wal").stat().st_mode & 0o777 == 0o600


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a ?b=1#c%20d & é"
    folder.mkdir()
    open_database(f"sqlite:///{folder}/aditus.db").close()
    assert [path.name for path in folder.iterdir()] == ["aditus.db"]


def test_a_closed_sqlite_is_one_file(on_sqlite: Database, file: Path) -> None:
    with on_sqlite.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)
    with on_sqlite.read() as tx:
        assert regions_sql.every(tx)
    on_sqlite.close()
    assert [path.name for path in file.parent.iterdir()] == ["aditus.db"]


def damage_header(file: Path) -> None:
    file.write_bytes(b"not a database, but long enough to be looked at " * 100)


def damage_page(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[4096 : len(content) // 2] = b"\xff" * (len(content) // 2 - 4096)
    file.write_bytes(content)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: 4096 + 100])


@pytest.mark.parametrize("damage", [damage_header, damage_page, cut_off])
def test_a_damaged_file_is_refused_in_one_line(file: Path, damage: object) -> None:
    open_database(f"sqlite:///{file}").close()
    assert callable(damage)
    damage(file)
    before = file.read_bytes()
    with pytest.raises(AditusError) as raised:
        open_database(f"sqlite:///{file}")
    assert (raised.value.code, raised.value.reason) == (Code.INVALID, "database-damaged")
    assert str(file) in raised.value.message
    assert "backup" in raised.value.remedy
    assert "\n" not in str(raised.value)
    assert file.read_bytes() == before


def test_a_folder_that_is_not_there_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(AditusError) as raised:
        open_database(f"sqlite:///{tmp_path}/none/aditus.db")
    assert raised.value.reason == "database-unwritable"
    assert "\n" not in str(raised.value)


def test_a_file_that_another_process_holds_is_an_outage_that_ends(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.05)
    opened = open_database(f"sqlite:///{file}")
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with opened.read() as tx:  # readers go on
            assert regions_sql.every(tx) == ()
        with pytest.raises(AditusError) as raised, opened.write():
            pytest.fail("two writers")
        assert (raised.value.code, raised.value.reason) == (Code.UNAVAILABLE, "database-unavailable")
    with opened.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)
    opened.close()


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///relative.db", "mysql://u:hunter2@h/d", "postgresql:///nohost"],
)
def test_another_url_is_refused_without_echo(url: str) -> None:
    with pytest.raises(AditusError) as raised:
        open_database(url)
    assert (raised.value.reason, raised.value.field) == ("database-url", "database_url")
    assert "hunter2" not in str(raised.value)


def test_a_postgresql_that_is_not_there_is_named_without_its_password(postgres: PostgresServer) -> None:
    for url in (
        f"postgresql://postgres:hunter2@127.0.0.1:{postgres.port}/postgres",  # a wrong password
        "postgresql://postgres:hunter2@127.0.0.1:1/postgres",  # nobody listens
    ):
        with pytest.raises(AditusError) as raised:
            open_database(url)
        assert (raised.value.code, raised.value.reason) == (Code.UNAVAILABLE, "database-unavailable")
        assert "127.0.0.1" in str(raised.value)
        assert "hunter2" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_postgresql_that_went_away_is_an_outage_that_ends(postgres: PostgresServer) -> None:
    url = postgres.create_database("goes_away")
    opened = open_database(url)
    with opened.write() as tx:
        regions_sql.add(tx, LOCAL, NOW)

    def write_while_it_goes() -> None:
        with opened.write() as tx:
            tx.execute(update(regions).values(epoch=1))
            own = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with psycopg.connect(url, autocommit=True) as administrator:
                administrator.execute("SELECT pg_terminate_backend(%s)", [own])
            tx.execute(select(regions))

    with pytest.raises(AditusError) as raised:
        write_while_it_goes()
    assert raised.value.reason == "database-unavailable"
    opened.check()
    with opened.read() as tx:
        assert regions_sql.epoch(tx, "local") == 0
    opened.close()
