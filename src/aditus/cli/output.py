"""What commands print: data on stdout, as tables for people or as JSON; everything else on stderr."""

import dataclasses
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Format = Literal["text", "json"]
Function = TypeVar("Function", bound=Callable[..., Any])

WIDE = 10_000  # columns: what is piped is never wrapped
NOTHING = "-"


def output_option(function: Function) -> Function:
    """Adds `-o text|json`, as the parameter `output`."""
    return click.option(
        "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print data."
    )(function)


def write(text: str) -> None:
    """Print a line of data on stdout, at once."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has had enough (`| head`)
        _leave_stdout()
        raise click.exceptions.Exit(0) from None
    except OSError as error:
        raise unwritable(error) from error


def unwritable(error: OSError) -> click.ClickException:
    """stdout takes nothing more, and nothing more is written there."""
    _leave_stdout()
    return click.ClickException(f"The output cannot be written: {error.strerror}.")


def write_json(value: object, *, lines: bool = False) -> None:
    """Print dataclasses, lists and dicts of them as JSON; `lines`: each call on one line."""
    write(json.dumps(plain(value), ensure_ascii=False, indent=None if lines else 2))


def write_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows for people; a column is as wide as it must be, and wraps on a terminal alone."""
    console = terminal()
    try:
        with console.capture() as captured:
            console.print(table(columns, rows))
    except OSError as error:  # rich touches stdout, though it has nothing to write there
        raise unwritable(error) from error
    write("\n".join(line.rstrip() for line in captured.get().splitlines()))


def write_record(values: Mapping[str, object]) -> None:
    """Print one thing, a line for each of its values; empty ones are left out."""
    shown = {name: text(value) for name, value in values.items() if value not in (None, "", ())}
    width = max(map(len, shown))
    for name, value in shown.items():
        write(f"{name:<{width}}  {value}")


def say(message: str) -> None:
    """Tell people something, on stderr; there may be lines in it, and nothing else that is no text."""
    click.echo("\n".join(map(clean, message.split("\n"))), err=True)


def warn(notices: Iterable[str]) -> None:
    """Tell people what they should know, a line each."""
    for notice in notices:
        say(f"aditus: warning: {notice}")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """A table without lines. Numbers stand on the right; no text of others becomes markup."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    cells = [list(row) for row in rows]
    result = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        numbers = bool(cells) and all(isinstance(row[i], int) for row in cells)
        result.add_column(name.upper(), justify="right" if numbers else "left", overflow="fold")
    for row in cells:
        result.add_row(*(Text(text(value)) for value in row))
    return result


def terminal() -> "Console":
    """stdout as rich sees it."""
    from rich.console import Console

    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False)


def text(value: object) -> str:
    """A value for people, on one line."""
    if value is None or value in ("", ()):
        return NOTHING
    if isinstance(value, tuple | list):
        return ", ".join(text(item) for item in value)
    return clean(str(value))


def clean(line: str) -> str:
    """A line without control and format characters, which others could drive a terminal with."""
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_unsafe(char) else char for char in line)


def when(seconds: float | None) -> str:
    """A moment (Unix seconds) in local time."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def size(count: float) -> str:
    """A number of bytes in three digits: `999 B`, `1.23 kB`, `45.6 MB`."""
    for unit in _UNITS:
        digits = 0 if unit == "B" or count >= 99.95 else 1 if count >= 9.995 else 2
        if round(count, digits) < 1000:
            return f"{count:.{digits}f} {unit}"
        count /= 1000
    return f"{count:.0f} ZB"


def plain(value: object) -> Any:
    """A value as JSON has it, in the form of the REST API: moments in UTC, no secrets (their mask)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _moment(getattr(value, field.name))
            if _is_moment(field.name)
            else plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _leave_stdout() -> None:
    """What Python still holds for stdout goes nowhere: it must not try again when it ends."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _is_moment(name: str) -> bool:
    return name == "at" or name.endswith("_at")


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_unsafe(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB")  # 64 bits are less
