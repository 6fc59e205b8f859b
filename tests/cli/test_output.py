"""What commands print: tables that nobody's text can break, JSON in the form of the API, no secrets."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.cli import output
from aditus.domain.keytext import SecretText
from aditus.domain.model import AccessKey, AuditEvent, Cut, KeyState, NewAccessKey, RevokeResult
from tests.cli.run import SECRET, secret_parts

FULL = Path("/dev/full")
KEY = AccessKey(
    key_id="AbCdEf012345",
    access_key_id="orders",
    subscription_id="s",
    region="eu-1",
    capability="integration",
    description="",
    state=KeyState.ACTIVE,
    connect_url="wss://h/connect/x",
    relay_url="wss://h",
    created_at=1_700_000_000.25,
    created_by="owner",
    apps=("shop", "desk"),
)


def printed(action: Callable[[], None], stdout: io.StringIO | None = None) -> str:
    before, sys.stdout = sys.stdout, stdout or io.StringIO()
    try:
        action()
        written: str = sys.stdout.getvalue()
    finally:
        sys.stdout = before
    return written


def test_json_has_the_form_of_the_api() -> None:
    shown = json.loads(printed(lambda: output.write_json(KEY)))
    assert shown["created_at"] == "2023-11-14T22:13:20.250000Z"
    assert shown["expires_at"] is None
    assert (shown["state"], shown["apps"]) == ("active", ["shop", "desk"])


def test_json_goes_down_into_what_it_holds() -> None:
    result = RevokeResult("orders", KEY.key_id, "revoked", Cut(KEY.key_id, 1, 2, 3.5))
    shown = json.loads(printed(lambda: output.write_json({"results": [result]})))
    assert shown["results"][0]["cut"] == {
        "key_id": KEY.key_id,
        "tunnels": 1,
        "streams": 2,
        "milliseconds": 3.5,
    }
    event = AuditEvent(1, 0.0, "a", "owner", "key.generate", "k", "orders", details={"n": 1, "dry": True})
    assert output.plain(event)["details"] == {"n": 1, "dry": True}
    assert output.plain(event)["at"] == "1970-01-01T00:00:00.000000Z"


def test_json_on_one_line_is_one_line() -> None:
    assert printed(lambda: output.write_json([KEY, KEY], lines=True)).count("\n") == 1


@pytest.mark.parametrize("value", [SECRET, NewAccessKey(KEY, SECRET), [SECRET], {"secret": SECRET}])
def test_no_secret_gets_into_json_by_accident(value: object) -> None:
    text = printed(lambda: output.write_json(value))
    assert "adt_eu-1_AbC…_****" in text
    assert not any(part in text for part in secret_parts())


def test_a_table_for_a_pipe_is_never_wrapped() -> None:
    long = "x" * 500
    text = printed(lambda: output.write_table(("name", "streams"), [(long, 7), ("short", 12)]))
    head, _rule, *rows = text.splitlines()
    assert head.split() == ["NAME", "STREAMS"]
    assert [row.split() for row in rows] == [[long, "7"], ["short", "12"]]
    assert all(row.endswith(("7", "12")) for row in rows)
    assert len(rows[0]) == len(rows[1])  # numbers stand on the right


def test_an_empty_table_has_its_head() -> None:
    assert printed(lambda: output.write_table(("a", "b"), [])).split()[:2] == ["A", "B"]


def test_what_is_missing_is_a_dash() -> None:
    row = printed(lambda: output.write_table(("a", "b", "c", "d"), [("", None, (), 0)])).splitlines()[-1]
    assert row.split() == ["-", "-", "-", "0"]


def test_a_record_leaves_out_what_is_empty() -> None:
    text = printed(lambda: output.write_record({"name": "x", "expires": "", "apps": ("a", "b")}))
    assert text == "name  x\napps  a, b\n"


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "a\rb", "\x9b1m", "\u202eabc", "\x00", "\ud800"])
def test_no_text_of_others_drives_the_terminal(hostile: str) -> None:
    for text in (
        printed(lambda: output.write_table(("a",), [(hostile,)])),
        printed(lambda: output.write_record({"a": hostile})),
    ):
        assert hostile not in text
        assert "\N{REPLACEMENT CHARACTER}" in text


def test_no_text_of_others_is_markup() -> None:
    text = printed(lambda: output.write_table(("a",), [("[bold]x[/bold] :smile: [link=http://h]y",)]))
    assert "[bold]x[/bold] :smile: [link=http://h]y" in text


@given(st.text(max_size=40))
def test_any_text_takes_one_line(text: str) -> None:
    assert len(printed(lambda: output.write_record({"a": text or "x"})).splitlines()) == 1


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1234, "1.23 kB"),
        (45_600, "45.6 kB"),
        (789_000, "789 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (9_999, "10.0 kB"),
        (99_960, "100 kB"),
        (1_500_000_000, "1.50 GB"),
        (2**63, "9.22 EB"),
    ],
)
def test_a_size_has_three_digits(count: int, text: str) -> None:
    assert output.size(count) == text


def test_a_moment_is_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert output.when(1_700_000_000.0) == "2023-11-15 07:13:20"
        assert output.when(None) == ""
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_secret_as_a_cell_is_its_mask() -> None:
    text = printed(lambda: output.write_table(("a",), [(SecretText(SECRET.reveal()),)]))
    assert not any(part in text for part in secret_parts())


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_table_that_a_full_disk_refuses_is_said_once(unbuffered: str) -> None:
    program = (
        "import click; from aditus.cli.output import write_table\n"
        "try: write_table(['name'], [['short']])\n"
        "except click.ClickException as error: click.echo(error.message, err=True)"
    )
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "The output cannot be written: No space left on device.\n")
