"""Log lines, for people and for machines."""

import io
import json
import logging
import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.domain import keytext
from aditus.domain.errors import AditusError
from aditus.telemetry import log
from aditus.telemetry.log import fields

KEY = keytext.format_access_key("eu", "AbCdEf012345", bytes(range(32)))
logger = logging.getLogger("aditus.test")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    log.close()
    logging.getLogger().setLevel(level)
    for name in log.CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


# --- for people -------------------------------------------------------------------------------


def test_a_line_has_the_time_the_level_the_event_and_its_fields(out: io.StringIO) -> None:
    log.setup(stream=out)
    logger.info("attached", extra=fields(tunnel="5dXc", ports=[5432, 80]))
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO  attached  tunnel=5dXc ports=5432,80\n", out.getvalue())


def test_values_are_written_so_that_they_can_be_told_apart(out: io.StringIO) -> None:
    log.setup(stream=out)
    logger.warning(
        "seen", extra=fields(name="a b", empty="", quote='"', ms=1.5, whole=100.0, none=None, set={1})
    )
    assert (
        out.getvalue()[9:]
        == 'WARNING seen  name="a b" empty="" quote="\\"" ms=1.5 whole=100 none=None set=1\n'
    )


def test_without_fields_the_line_ends_with_the_event(out: io.StringIO) -> None:
    log.setup(stream=out)
    logger.info("%s stopped", "relay")
    logger.info("odd", extra={"fields": "not a mapping"})
    assert [line[9:] for line in out.getvalue().splitlines()] == ["INFO  relay stopped", "INFO  odd"]


def test_a_stranger_cannot_forge_a_line_or_drive_a_terminal(out: io.StringIO) -> None:
    log.setup(stream=out)
    logger.info(
        "host %s", "a\n12:00:00 INFO  forged\x1b[2J", extra=fields(host="b\r\n\u202e\x9b", lone="\udc80")
    )
    line = out.getvalue()
    assert line.count("\n") == 1
    assert line[9:] == (
        r"INFO  host a\n12:00:00 INFO  forged\x1b[2J"
        r'  host="b\r\n\u202e\u009b" lone="\udc80"'
        "\n"
    )


def test_a_traceback_follows_on_lines_of_its_own_without_control_characters(out: io.StringIO) -> None:
    log.setup(stream=out)
    try:
        raise ValueError("\x1b[2J")
    except ValueError:
        logger.exception("failed", stack_info=True)
    lines = out.getvalue().splitlines()
    assert lines[0][9:] == "ERROR failed"
    assert lines[1] == "Traceback (most recent call last):"
    assert r"ValueError: \x1b[2J" in lines
    assert "Stack (most recent call last):" in lines


@pytest.mark.parametrize(
    ("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_lines_are_coloured_only_on_a_terminal_that_wants_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], coloured: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    log.setup(stream=terminal)
    logger.error("lost", extra=fields(tunnel="x"))
    logger.info("attached")
    first, second = terminal.getvalue().splitlines()
    assert first.startswith("\x1b[31m") == coloured
    assert first.endswith("\x1b[0m  tunnel=x" if coloured else "lost  tunnel=x")
    assert "\x1b" not in second


# --- for machines -----------------------------------------------------------------------------


def test_a_json_line_keeps_types_and_names_time_in_utc(out: io.StringIO) -> None:
    log.setup("json", stream=out)
    logger.info(
        "attached\n", extra=fields(tunnel="5dXc", ports=[5432], ms=1.5, where=Path("/x"), names={"b", "a"})
    )
    entry = json.loads(out.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("ts"))
    assert entry == {
        "level": "info",
        "logger": "aditus.test",
        "event": "attached\n",
        "fields": {"tunnel": "5dXc", "ports": [5432], "ms": 1.5, "where": "/x", "names": ["a", "b"]},
    }


def test_a_json_line_stays_one_line_and_json_whatever_is_in_it(out: io.StringIO) -> None:
    log.setup("json", stream=out)
    try:
        raise ValueError(f'("authorization", "Bearer {KEY.reveal()}") http://u:p@h"')
    except ValueError:
        logger.exception("failed", extra=fields(header='Authorization: Basic dXNlcg=="', key=KEY))
    failed = json.loads(out.getvalue())
    assert '("authorization", "****")' in failed["exception"]
    assert failed["fields"] == {"header": 'Authorization: ****"', "key": "adt_eu_AbC…_****"}


def test_a_broken_log_line_is_json_too() -> None:
    record = logging.LogRecord("aditus.test", logging.INFO, "/src/x.py", 7, "%d", (KEY.reveal(),), None)
    entry = json.loads(log.JsonFormatter().format(record))
    assert entry["event"] == "a log line cannot be formatted"
    assert entry["fields"] == {"where": "/src/x.py:7", "error": "TypeError"}


# --- secrets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "json"])
def test_no_part_of_a_record_lets_a_secret_out(out: io.StringIO, tmp_path: Path, format: log.Format) -> None:
    file = tmp_path / "aditus.log"
    log.setup(format, stream=out, file=file)
    text = KEY.reveal()
    message = f"{text} %s"
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception(message, text, extra=fields(a=text, b=[text], c={"d": text}), stack_info=True)
    for written in (out.getvalue(), file.read_text()):
        assert "adt_eu_AbC…_****" in written or "adt_eu_AbC\\u2026_****" in written
        assert text.split("_")[3] not in written


# --- where it goes ----------------------------------------------------------------------------


def test_by_default_it_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup()
    logger.info("here")
    assert capsys.readouterr().err.endswith("INFO  here\n")


def test_a_file_is_written_beside_the_stream_or_alone(out: io.StringIO, tmp_path: Path) -> None:
    file = tmp_path / "aditus.log"
    log.setup(stream=out, file=file)
    logger.info("both", extra=fields(lone="é"))
    log.setup(stream=out, file=file, quiet=True)
    logger.info("file alone")
    assert [line[15:] for line in file.read_text(encoding="utf-8").splitlines()] == [
        "both  lone=é",
        "file alone",
    ]
    assert out.getvalue().count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="mode bits say nothing elsewhere")
def test_a_file_is_for_its_user_alone(tmp_path: Path) -> None:
    log.setup(file=tmp_path / "aditus.log", quiet=True)
    assert stat.S_IMODE((tmp_path / "aditus.log").stat().st_mode) == 0o600


def test_a_record_with_the_class_of_an_error_instead_of_one_is_a_line_all_the_same() -> None:
    said = (OSError, OSError, None)  # so aiofastnet says it; pytest's own handler would not bear it
    record = logging.LogRecord("aiofastnet", logging.ERROR, "", 0, "handshake failed", (), said)  # type: ignore[arg-type]
    assert log.TextFormatter(coloured=False).format(record)[9:] == "ERROR handshake failed"


def test_a_long_file_is_turned_over_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "FILE_BYTES", 1000)
    file = tmp_path / "aditus.log"
    log.setup(file=file, quiet=True)
    for _ in range(200):
        logger.info("x" * 80)
    assert {path.name for path in tmp_path.iterdir()} == {
        "aditus.log",
        *(f"aditus.log.{n}" for n in range(1, 6)),
    }
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_refused_and_nothing_is_set_up(tmp_path: Path) -> None:
    before = logging.getLogger().handlers[:]
    with pytest.raises(AditusError, match="cannot be written: No such file or directory") as caught:
        log.setup(file=tmp_path / "missing" / "aditus.log")
    assert (caught.value.reason, caught.value.field) == ("log-file", "log_file")
    assert logging.getLogger().handlers == before


def test_setting_up_again_replaces_what_was_there(out: io.StringIO) -> None:
    log.setup(stream=io.StringIO())
    log.setup(stream=out)
    logger.info("once")
    assert out.getvalue().count("once") == 1
    log.close()
    logger.info("not any more")
    assert out.getvalue().count("\n") == 1


# --- how much ---------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["picows", "uvicorn.error", "aiofastnet", "httpx2"])
def test_chatty_libraries_are_heard_only_when_debugging(out: io.StringIO, library: str) -> None:
    log.setup(stream=out)
    logging.getLogger(library).info("connected")
    assert out.getvalue() == ""
    logging.getLogger(library).warning("odd")
    log.setup(stream=out, level="DEBUG")
    logging.getLogger(library).info("connected")
    logger.debug("detail")
    assert [line[9:] for line in out.getvalue().splitlines()] == [
        "WARNING odd",
        "INFO  connected",
        "DEBUG detail",
    ]


def test_below_the_level_nothing_is_written(out: io.StringIO) -> None:
    log.setup(stream=out, level=logging.WARNING)
    logger.info("unheard")
    assert out.getvalue() == ""


# --- when writing fails -----------------------------------------------------------------------


def test_a_line_that_cannot_be_written_is_reported_without_what_is_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup(stream=Broken())
    logger.info("key %s", KEY.reveal())
    assert capsys.readouterr().err == "a log line of aditus.test could not be written: BrokenPipeError\n"


def test_when_stderr_is_gone_too_the_program_goes_on(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO
) -> None:
    monkeypatch.setattr(sys, "stderr", Broken())
    log.setup(stream=Broken())
    logger.info("unheard")
    log.setup(stream=out)
    logger.info("heard")
    assert out.getvalue().endswith("INFO  heard\n")
