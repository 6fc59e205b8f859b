"""`aditus admin` over a database: what it prints where, and when it will not work."""

import json
import subprocess
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from aditus.control.service import bootstrap
from aditus.store.database import open_database
from aditus.wiring import data_folder
from demo.postgres import PostgresServer
from tests.cli.run import PROGRAM, Ended, run
from tests.databases import postgres

__all__ = ["postgres"]

RELAY_URL = "wss://localhost:8443"


def begin(url: str) -> None:
    """A database as the first `aditus serve` leaves it."""
    database = open_database(url)
    bootstrap.ensure(database, "local", RELAY_URL, time.time(), lambda first: None)
    database.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a server that was started once, and does not run now."""
    folder = tmp_path / "data"
    folder.mkdir()
    begin(f"sqlite:///{folder}/aditus.db")
    return folder


def done(data: Path, *words: str) -> Ended:
    ended = run("admin", *words, "--data", str(data))
    assert ended.code == 0, ended.err
    return ended


def listed(data: Path, *words: str) -> Any:
    return json.loads(done(data, *words, "list", "-o", "json").out)


def test_an_organization_is_made_by_commands(data: Path) -> None:
    assert done(data, "region", "add", "eu-1", "--relay-url", "https://relay.example.com").out == ""
    assert listed(data, "region") == [
        {"name": "eu-1", "relay_url": "wss://relay.example.com"},
        {"name": "local", "relay_url": RELAY_URL},
    ]
    assert done(data, "organization", "add", "acme").out == ""
    assert [one["name"] for one in listed(data, "organization")] == ["default", "acme"]
    made = done(
        data, "subscription", "add", "web", "--organization", "acme", "--region", "eu-1",
        "--capability", "sales", "--capability", "events", "--quota", "20",
    )  # fmt: skip
    locator = made.out.strip()
    done(data, "capability", "add", "more", "--subscription", locator, "--region", "local")
    done(data, "subscription", "quota", locator, "3", "--region", "local")
    assert [one for one in listed(data, "subscription") if one["locator"] == locator] == [
        {
            "locator": locator,
            "name": "web",
            "organization": "acme",
            "region": region,
            "capabilities": capabilities,
            "used": 0,
            "limit": limit,
        }
        for region, capabilities, limit in (("eu-1", ["events", "sales"], 20), ("local", ["more"], 3))
    ]
    assert [one["capability"] for one in listed(data, "capability") if one["organization"] == "acme"] == [
        "events",
        "sales",
        "more",
    ]
    added = done(data, "user", "add", "ann@acme.example", "--organization", "acme", "--role", "owner")
    assert [(one["organization"]["name"], one["user"]["email"]) for one in listed(data, "user")] == [
        ("default", "owner@localhost"),
        ("acme", "ann@acme.example"),
    ]
    password = added.out.strip()
    assert len(password) == 20
    assert password not in added.err
    for noun in ("region", "organization", "subscription", "capability", "user"):
        rows = len(listed(data, noun))
        assert len(done(data, noun, "list").out.splitlines()) == 2 + rows  # a head and a line


def test_a_new_password_is_alone_on_stdout(data: Path) -> None:
    first, second = (done(data, "reset-password", "owner@localhost") for _ in range(2))
    assert first.out != second.out
    assert len(second.out.strip()) == 20
    assert second.out.strip() not in second.err
    assert "0 sessions have ended" in second.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_password_that_could_not_be_printed_is_said_to_be_lost(data: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*PROGRAM, "admin", "reset-password", "owner@localhost", "--data", str(data)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert "nobody has it: run aditus admin reset-password" in ended.stderr


def test_while_a_server_has_the_folder_nothing_is_touched(data: Path) -> None:
    with data_folder.held(data):
        ended = run("admin", "reset-password", "owner@localhost", "--data", str(data))
    assert (ended.code, ended.out) == (5, "")
    assert "Stop it, run this again and start it" in ended.err


def test_a_folder_without_a_database_stays_as_it_is(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        ended = run("admin", "region", "list", "--data", str(folder))
        assert (ended.code, ended.out) == (2, "")
        assert "There is no database" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_must_be_named() -> None:
    ended = run("admin", "region", "list")
    assert ended.code == 2
    assert "--database-url-file" in ended.err


def test_a_postgresql_may_be_in_use_meanwhile(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.create_database(f"operate_{uuid.uuid4().hex}")
    begin(url)
    file = tmp_path / "url"
    file.write_text(url)
    file.chmod(0o600)
    serving = open_database(url)
    try:
        named = run(
            "admin", "user", "add", "bob@x.example", "--role", "member", "--database-url-file", str(file)
        )
        assert (named.code, len(named.out.strip())) == (0, 20), named.err
        monkeypatch.setenv("ADITUS_DATABASE_URL", url)
        ended = run("admin", "user", "list", "-o", "json", "--data", str(tmp_path / "folder"))
        assert [one["user"]["email"] for one in json.loads(ended.out)] == [
            "owner@localhost",
            "bob@x.example",
        ]
    finally:
        serving.close()
    assert not (tmp_path / "folder").exists()
