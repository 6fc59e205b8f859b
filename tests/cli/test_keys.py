"""`aditus keys`, over a real API: what is asked for is done, and what is printed where."""

import dataclasses
import json
import sys
from collections.abc import Iterator

import pytest

from aditus.control.api.app import create_app
from aditus.domain.keytext import parse_access_key
from aditus.domain.relays import RelayReport, StreamRecord
from aditus.store.database import Database
from tests.cli.run import Ended, Terminal, run
from tests.client.conftest import served
from tests.control_plane import CAPABILITY, REGION, START, ControlPlane
from tests.databases import opened_sqlite, sqlite

__all__ = ["opened_sqlite", "sqlite"]


@pytest.fixture
def plane(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane that the commands ask, as its owner."""
    plane = ControlPlane(sqlite)
    with served(create_app(plane.services)) as port:
        monkeypatch.setenv("ADITUS_API", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ADITUS_TOKEN", plane.token)
        yield plane


def done(*words: str) -> Ended:
    ended = run(*words)
    assert ended.code == 0, ended.err
    return ended


def test_a_generated_secret_is_alone_on_stdout(plane: ControlPlane) -> None:
    ended = done("keys", "generate", "orders", "--capability", CAPABILITY)
    assert parse_access_key(ended.out).region == REGION
    assert ended.out.strip() not in ended.err


def test_a_key_can_be_born_with_its_rules(plane: ControlPlane) -> None:
    rules = ("--allow-port", "9092", "--allow-port", "5432", "--allow-source", "2001:db8::/32")
    done("keys", "generate", "orders", "--capability", CAPABILITY, *rules)
    key = plane.services.keys.show(plane.owner, "0", REGION, "orders")
    assert (key.allowed_ports, key.allowed_sources) == ((5432, 9092), ("2001:db8::/32",))
    mapped = ("--allow-source", "::ffff:10.0.0.0/104")
    ended = run("keys", "generate", "billing", "--capability", CAPABILITY, *mapped)
    assert (ended.code, ended.out) == (2, "")
    assert "Write 10.0.0.0/8" in ended.err


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "orders/rotate", "..\\"])
@pytest.mark.parametrize(
    "words",
    [
        ("keys", "show"),
        ("keys", "suspend"),
        ("apps", "delete", "--yes"),
        ("tunnels", "cut"),
        ("tokens", "revoke"),
    ],
    ids=" ".join,
)
def test_what_would_lead_to_another_address_is_no_name(
    plane: ControlPlane, words: tuple[str, ...], name: str
) -> None:
    plane.generate("orders")
    ended = run(*words, name)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("aditus: A name or id is not empty")


def test_a_grace_that_is_too_long_is_told_in_days(plane: ControlPlane) -> None:
    plane.generate("orders")
    ended = run("keys", "rotate", "orders", "--grace", "9999d")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("aditus: The grace of an old secret is 90 days at most. Give a shorter one")


def test_a_rotated_secret_is_alone_on_stdout_and_of_the_same_key(plane: ControlPlane) -> None:
    key = plane.generate("orders")
    ended = done("keys", "rotate", "orders", "--grace", "2h")
    assert parse_access_key(ended.out).key_id == key.key_id
    rotation = plane.services.keys.show(plane.owner, "0", REGION, "orders").rotation
    assert rotation is not None
    assert rotation.grace == 7200
    assert "the new secret was not used yet" in done("keys", "show", "orders").out
    assert run("keys", "rotate", "orders").code == 5
    told = json.loads(done("keys", "rotate", "orders", "--now", "-o", "json").out)
    assert parse_access_key(told["secret_access_key"]).key_id == told["key_id"] == key.key_id
    assert run("keys", "rotate", "orders", "--now", "--grace", "1h").code == 2


def test_an_update_changes_what_is_named_alone(plane: ControlPlane) -> None:
    plane.generate("orders")
    words = ("--description", "Lyon", "--expires", "52w", "--allow-port", "5432", "--allow-port", "22")
    done("keys", "update", "orders", *words, "--allow-source", "192.0.2.0/24")
    key = plane.services.keys.show(plane.owner, "0", REGION, "orders")
    assert (key.description, key.allowed_sources) == ("Lyon", ("192.0.2.0/24",))
    assert set(key.allowed_ports or ()) == {22, 5432}
    assert key.expires_at is not None
    shown = done("keys", "show", "orders").out
    assert "192.0.2.0/24" in shown
    assert "last used" in shown
    done("keys", "update", "orders", "--expires", "never", "--allow-any-port", "--allow-any-source")
    key = plane.services.keys.show(plane.owner, "0", REGION, "orders")
    assert (key.description, key.expires_at, key.allowed_ports, key.allowed_sources) == ("Lyon", *[None] * 3)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--expires", "soon"],
        ["--allow-port", "22", "--allow-any-port"],
        ["--allow-source", "::/0", "--allow-any-source"],
        ["--allow-port", "0"],
        ["--allow-source", "nowhere"],
    ],
)
def test_an_update_that_cannot_be_meant_is_2(plane: ControlPlane, words: list[str]) -> None:
    plane.generate("orders")
    ended = run("keys", "update", "orders", *words)
    assert (ended.code, ended.out) == (2, "")


def test_of_a_few_keys_each_is_named_before_they_are_revoked_and_of_many_the_sum(
    plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"key{number}" for number in range(12)]
    for name in names:
        plane.relays.attach(plane.generate(name), 5432, streams=3)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    ended = run("keys", "revoke", "key0", "key1")
    assert ended.code == 1
    assert ended.err.count("cuts 1 tunnels of 1 agents and 3 live streams") == 2
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    ended = run("keys", "revoke", *names, "unknown")
    assert "12 keys: cuts 12 tunnels of 12 agents and 36 live streams; used by 0 apps. 1 others" in ended.err
    assert "key11" not in ended.said
    assert len(plane.relays.live) == 12
    assert run("keys", "revoke", *names, "unknown", "--yes").code == 4
    assert not plane.relays.live


def test_an_agent_with_several_links_counts_once_before_a_revoke(plane: ControlPlane) -> None:
    key, other = plane.generate("orders"), plane.generate("billing")
    for _ in range(2):
        plane.relays.attach(key, 5432)
    plane.relays.attach(other, 5432)
    told = json.loads(done("keys", "revoke", "orders", "--dry-run", "-o", "json").out)
    assert [(one["cut"]["tunnels"], one["agents"]) for one in told["results"]] == [(2, 1)]
    assert done("keys", "revoke", "orders", "--dry-run").out.split()[-6:-2] == ["revoked", "2", "0", "1"]
    assert len(plane.relays.live) == 3


def test_a_key_shows_how_many_agents_still_use_its_old_secret(plane: ControlPlane) -> None:
    key = plane.generate("orders")
    plane.relays.attach(key, 5432)
    plane.relays.live = [dataclasses.replace(one, old_secret=True) for one in plane.relays.live]
    assert "aditus keys show orders" in done("keys", "rotate", "orders").err
    assert "; 1 agents still use the old one" in done("keys", "show", "orders").out


def test_finished_streams_are_listed_as_they_are_asked_for(plane: ControlPlane) -> None:
    key = plane.generate("orders")
    plane.relays.attach(key, 5432, streams=2)
    assert len(json.loads(done("streams", "list", "-o", "json").out)) == 2
    assert "127.0.0.1:40000" in done("streams", "list").out
    kept = tuple(
        StreamRecord(
            *(key.subscription_id, REGION, key.key_id, "orders", "t", "00" * 16, port, "", "127.0.0.1:1"),
            *(START - 2, START - 1, 3, 4, None if port == 1 else 0.5, "closed"),
        )
        for port in (1, 2)
    )
    plane.services.reports.take(REGION, RelayReport(streams=kept))
    told = json.loads(done("streams", "history", "--key", "orders", "--port", "2", "-o", "json").out)
    assert [(one["port"], one["bytes_in"], one["bytes_out"]) for one in told] == [(2, 3, 4)]
    assert len(json.loads(done("streams", "history", "--limit", "1", "-o", "json").out)) == 1
    assert json.loads(done("streams", "history", "--key", "billing", "-o", "json").out) == []
    assert "0.5 ms" in done("streams", "history").out
