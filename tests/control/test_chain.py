"""The audit chain over the database: what Aditus wrote holds, and what somebody did to it is found."""

import json
import threading
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DBAPIError

from aditus.domain.audit_chain import Break, Fault, Head, Verification, verify_lines
from aditus.domain.errors import Code
from aditus.domain.model import Role
from aditus.store.database import Database
from aditus.store.schema import metadata
from tests.control.refused import refused
from tests.control_plane import CAPABILITY, ControlPlane
from tests.databases import unprotected


class Written:
    """Six entries of the owner's organisation, and some of another between them; the same at each `put`."""

    def __init__(self) -> None:
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._now = 0.0

    def put(self, plane: ControlPlane) -> None:
        """Into its database: written once, and from then on copied."""
        if not self._rows:
            self._write(plane)
            return
        plane.clock.now = self._now
        with plane.database.write() as tx, unprotected(tx):
            for table in reversed(metadata.sorted_tables):
                tx.execute(delete(table))
            for table in metadata.sorted_tables:
                if rows := self._rows[table.name]:
                    tx.execute(insert(table), rows)

    def _write(self, plane: ControlPlane) -> None:
        stranger = plane.stranger()
        for number in range(6):
            plane.clock.now += 0.1
            plane.services.tokens.create(stranger, f"theirs-{number}")
            plane.generate(f"key-{number}")
        self._now = plane.clock.now
        with plane.database.read() as tx:
            for table in metadata.sorted_tables:
                self._rows[table.name] = [dict(row) for row in tx.execute(select(table)).mappings()]


@pytest.fixture(scope="module")
def once() -> dict[str, Written]:
    """What was written, by the name of the database."""
    return {"sqlite": Written(), "postgresql": Written()}


@pytest.fixture
def written(plane: ControlPlane, once: dict[str, Written]) -> ControlPlane:
    with plane.database.read() as tx:
        name = tx.dialect.name
    once[name].put(plane)
    return plane


def verified(plane: ControlPlane, head: Head | None = None) -> Verification:
    return plane.services.chain.verify(plane.owner, "0", head=str(head) if head else "")


def tamper(database: Database, *statements: str) -> None:
    """As somebody with the database's own rights, who takes the triggers away first."""
    with database.write() as tx, unprotected(tx):
        for statement in statements:
            tx.execute(text(statement))


OURS = "organization_id = 'defaultorg' AND sequence"


def test_what_was_written_holds(written: ControlPlane) -> None:
    found = verified(written)
    assert (found.ok, found.entries, found.first, found.head.sequence) == (True, 6, 1, 6)
    written.generate("later")
    assert verified(written, found.head).head.sequence == 7


def test_nothing_written_holds_as_well(plane: ControlPlane) -> None:
    assert verified(plane) == Verification(True, 0, 0, Head())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor = 'nobody'",
        "UPDATE audit_events SET actor = 'nobody' WHERE sequence = 3",
        "DELETE FROM audit_events WHERE sequence = 6",
        "DELETE FROM audit_events",
    ],
)
def test_the_database_refuses_to_change_an_entry(written: ControlPlane, statement: str) -> None:
    with pytest.raises(DBAPIError, match="audit entries are never"), written.database.write() as tx:
        tx.execute(text(statement))
    assert verified(written).ok


def test_the_database_refuses_to_replace_or_truncate(written: ControlPlane) -> None:
    with written.database.read() as tx:
        postgresql = tx.dialect.name == "postgresql"
    replace = "REPLACE INTO audit_events SELECT * FROM audit_events WHERE sequence = 3"
    with pytest.raises(DBAPIError, match="audit entries are never"), written.database.write() as tx:
        tx.execute(text("TRUNCATE audit_events" if postgresql else replace))
    assert verified(written).entries == 6


COLUMNS = [
    *("region", "actor_id", "actor", "action", "object_id", "object_name", "subscription_id"),
]


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("sequence", [1, 4, 6])
def test_a_changed_entry_is_found(written: ControlPlane, column: str, sequence: int) -> None:
    tamper(written.database, f"UPDATE audit_events SET {column} = 'other' WHERE {OURS} = {sequence}")
    fault = verified(written).fault
    assert fault
    assert (fault.fault, fault.sequence) == (Fault.CHANGED, sequence)
    assert fault.event_id is not None


@pytest.mark.parametrize(
    "change",
    [
        "at = at + 0.0000003",
        'details = \'{"capability": "other"}\'',
        "previous_hash = hash",
        "hash = previous_hash",
        "event_id = event_id + 100",
    ],
)
def test_a_change_of_any_other_kind_is_found_too(written: ControlPlane, change: str) -> None:
    tamper(written.database, f"UPDATE audit_events SET {change} WHERE {OURS} = 3")
    fault = verified(written).fault
    assert fault
    assert (fault.fault, fault.sequence) == (Fault.CHANGED, 3)


def test_on_sqlite_a_value_of_another_type_is_found(on_sqlite: ControlPlane) -> None:
    for number in range(3):
        on_sqlite.generate(f"key-{number}")
    for column in ("at", "details", "hash", "previous_hash", "actor"):
        tamper(on_sqlite.database, f"UPDATE audit_events SET {column} = 'x[' WHERE {OURS} = 2")
        fault = verified(on_sqlite).fault
        assert fault
        assert (fault.fault, fault.sequence) == (Fault.CHANGED, 2)


def test_missing_moved_and_cut_off_entries_are_found(written: ControlPlane) -> None:
    whole = verified(written).head
    tamper(
        written.database,
        f"UPDATE audit_events SET sequence = 99 WHERE {OURS} = 2",
        f"UPDATE audit_events SET sequence = 2 WHERE {OURS} = 4",
        f"UPDATE audit_events SET sequence = 4 WHERE {OURS} = 99",
    )
    fault = verified(written).fault
    assert fault
    assert (fault.fault, fault.sequence) == (Fault.REORDERED, 2)
    tamper(written.database, f"DELETE FROM audit_events WHERE {OURS} = 2")
    assert verified(written).fault == Break(Fault.REORDERED, 2)
    tamper(written.database, f"DELETE FROM audit_events WHERE {OURS} >= 2")
    assert verified(written).fault == Break(Fault.CUT_OFF, 2)
    tamper(
        written.database,
        "UPDATE audit_heads SET sequence = 1, hash = (SELECT hash FROM audit_events"
        " WHERE organization_id = 'defaultorg') WHERE organization_id = 'defaultorg'",
    )
    assert verified(written).ok  # what nobody can see who kept nothing
    assert verified(written, whole).fault == Break(Fault.CUT_OFF, 2)


def test_one_missing_entry_is_found(written: ControlPlane) -> None:
    tamper(written.database, f"DELETE FROM audit_events WHERE {OURS} = 3")
    assert verified(written).fault == Break(Fault.MISSING, 3)


def test_an_export_is_verified_without_the_server(written: ControlPlane) -> None:
    exported = b"".join(written.services.chain.export(written.owner, "0")).decode().splitlines()
    assert verify_lines(exported) == verified(written)
    assert {json.loads(line)["organization_id"] for line in exported} == {"defaultorg"}
    since = float(json.loads(exported[3])["at"])
    part = b"".join(written.services.chain.export(written.owner, "0", since=since)).decode().splitlines()
    assert part == exported[3:]
    assert not list(written.services.chain.export(written.owner, "0", since=since + 1e6))
    found = verify_lines([line.replace("key-2", "key-9") for line in exported])
    assert found.fault
    assert (found.fault.fault, found.fault.sequence) == (Fault.CHANGED, 3)


def test_the_chain_is_for_owners_of_its_organisation(written: ControlPlane) -> None:
    chain = written.services.chain
    for caller in (written.person(Role.MEMBER), written.person(Role.TEAM_ADMIN)):
        refused(Code.FORBIDDEN, "owner-only", lambda caller=caller: chain.verify(caller, "0"))  # type: ignore[misc]
        refused(Code.FORBIDDEN, "owner-only", lambda caller=caller: chain.export(caller, "0"))  # type: ignore[misc]
    refused(Code.INVALID, "bad-head", lambda: chain.verify(written.owner, "0", head="7"))


def test_many_at_once_append_one_after_the_other(plane: ControlPlane) -> None:
    """Through transactions that lock keys of two regions, apps and tokens in any order."""
    plane.add_region("eu", CAPABILITY)

    def work(worker: int) -> None:
        for number in range(5):
            name = f"{worker}-{number}"
            plane.generate(name, "eu" if worker % 2 else "local")
            plane.services.apps.create(plane.owner, "0", name, CAPABILITY)
            plane.services.apps.associate(plane.owner, "0", name, name)
            plane.services.keys.revoke(plane.owner, "0", "eu" if worker % 2 else "local", [name])

    workers = [threading.Thread(target=work, args=(worker,)) for worker in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = verified(plane)
    assert (found.ok, found.entries) == (True, 6 * 5 * 4)
