"""Log lines: for people as text, for machines as JSON, always without secrets.

    log = logging.getLogger(__name__)
    log.info("attached", extra=fields(tunnel=tunnel_id, ports=[5432]))

    18:02:11 INFO  attached  tunnel=5dXcV0aBq1Lm ports=5432
    {"ts": "2025-11-23T18:02:11.402Z", "level": "info", "event": "attached", "fields": {"tunnel": …}}

The message names the event and is the same each time; what differs goes into fields.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from aditus.domain.errors import invalid
from aditus.telemetry.redact import RedactingFormatter

Format = Literal["text", "json"]

FILE_BYTES = 10 * 1024 * 1024  # then the file is renamed to .1, and so on
FILES_KEPT = 5
CHATTY = ("alembic", "picows", "aiofastnet", "uvicorn", "httpx2", "httpcore2")
"""Loggers of libraries that report every connection or request at INFO; heard below WARNING only at DEBUG."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Of the API request that is being answered: every line that is logged meanwhile has it among its fields."""

_COLOURS = {"DEBUG": "\x1b[2m", "WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[1;31m"}
_RESET = "\x1b[0m"
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNSAFE_IN_BLOCK = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_PLAIN = re.compile(r"[^\s\"=]+")


def fields(**values: object) -> dict[str, Any]:
    """The `extra` of a log call: named values that belong to the event."""
    return {"fields": values}


def setup(
    format: Format = "text",
    *,
    file: Path | None = None,
    level: int | str = logging.INFO,
    stream: TextIO | None = None,
    quiet: bool = False,
) -> None:
    """Send this process's log to `stream` (default: stderr; `quiet`: nowhere) and to `file`, if there is one.

    Both have the same format. The file is rotated at 10 MiB and 5 old ones are kept. Calling it again
    replaces what the last call set up. Raises `AditusError` (invalid) when the file cannot be written.
    """
    root = logging.getLogger()
    close()
    root.setLevel(level)
    noise = logging.NOTSET if root.level <= logging.DEBUG else logging.WARNING
    for name in CHATTY:
        logging.getLogger(name).setLevel(noise)
    if not quiet:
        target = stream if stream is not None else sys.stderr
        _add(root, _StreamHandler(target), format, coloured=_is_coloured(target))
    if file is not None:
        try:
            handler = _FileHandler(file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        except OSError as error:
            close()
            raise invalid(
                "log-file",
                f"The log file cannot be written: {error.strerror}.",
                remedy="Name a file in a folder that exists and that this user may write to.",
                field="log_file",
            ) from error
        _add(root, handler, format, coloured=False)


def close() -> None:
    """Undo `setup`: take its handlers away and close the file."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _StreamHandler | _FileHandler)]:
        root.removeHandler(handler)
        handler.close()


class TextFormatter(RedactingFormatter):
    """`18:02:11 INFO  attached  tunnel=… ports=5432`, in local time; a traceback follows on lines of its own.

    Control characters are escaped: what a stranger sends can neither forge a line nor drive a terminal.
    """

    def __init__(self, *, coloured: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._coloured = coloured

    def line(self, record: logging.LogRecord) -> str:
        event = _UNSAFE.sub(_escape, record.getMessage())
        values = " ".join(f"{name}={_text(value)}" for name, value in _fields(record).items())
        line = f"{self.formatTime(record, self.datefmt)} {record.levelname:<5} {event}"
        if self._coloured and record.levelname in _COLOURS:
            line = f"{_COLOURS[record.levelname]}{line}{_RESET}"
        if values:
            line = f"{line}  {values}"
        block = _block(self, record)
        return f"{line}\n{_UNSAFE_IN_BLOCK.sub(_escape, block)}" if block else line


class JsonFormatter(RedactingFormatter):
    """One JSON object per line: `ts` (UTC), `level`, `logger`, `event`, `fields`, and maybe `exception`."""

    def line(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        entry: dict[str, object] = {
            "ts": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            "fields": _fields(record),
        }
        if block := _block(self, record):
            entry["exception"] = block
        return json.dumps(entry, default=_plain)


class _Reported:
    """What to do when a line cannot be written: say so on stderr, without the record and what is in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        error = sys.exc_info()[0]
        name = error.__name__ if error else "unknown"
        try:
            sys.stderr.write(f"a log line of {record.name} could not be written: {name}\n")
        except (OSError, ValueError):
            return  # stderr is gone too: there is nobody left to tell


class _StreamHandler(_Reported, logging.StreamHandler[TextIO]):
    pass


class _FileHandler(_Reported, RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        """As the standard one, but for this user alone: with --payload there are passwords in it."""
        opened = open(  # noqa: SIM115  the handler closes it
            self.baseFilename, self.mode, encoding=self.encoding, errors=self.errors, opener=_private
        )
        return cast(TextIOWrapper, opened)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _add(root: logging.Logger, handler: logging.Handler, format: Format, *, coloured: bool) -> None:
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter(coloured=coloured))
    root.addHandler(handler)


def _is_coloured(stream: TextIO) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    found = getattr(record, "fields", None)
    named = found if isinstance(found, Mapping) else {}
    asked = request_id.get()  # handlers run where the line was logged, so it is that one's
    return {**named, "request_id": asked} if asked else named


def _text(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ",".join(_text(item) for item in value)
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    text = str(value)
    unsafe = _UNSAFE.search(text) is not None
    return text if _PLAIN.fullmatch(text) and not unsafe else json.dumps(text, ensure_ascii=unsafe)


def _plain(value: object) -> object:
    return sorted(value, key=str) if isinstance(value, set | frozenset) else str(value)


def _block(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and isinstance(record.exc_info[1], BaseException):  # aiofastnet may log its class
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
