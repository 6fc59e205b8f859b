"""The live status of `aditus connect` on a terminal: a line for each tunnel, redrawn in place."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from aditus.cli.output import size, text
from aditus.telemetry.status import LinkRow

_NO_WRAP = "\x1b[?7l"
_WRAP = "\x1b[?7h"
_CLEAR_LINE = "\x1b[K"
_CLEAR_BELOW = "\x1b[J"
_COLOURS = {"attached": "\x1b[32m", "connecting": "\x1b[33m", "waiting": "\x1b[33m", "stopped": "\x1b[31m"}
_DIM = "\x1b[2m"
_RESET = "\x1b[0m"


@contextmanager
def status_line(stream: TextIO, *, wanted: bool = True) -> Iterator["StatusLine | None"]:
    """A status line on `stream` while the block runs; None where it is no terminal or not wanted."""
    if not wanted or not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        yield None
        return
    line = StatusLine(stream, coloured="NO_COLOR" not in os.environ)
    try:
        yield line
    finally:
        line.close()


class StatusLine:
    """Shows rows on a terminal. Each update overwrites the last one in a single write: nothing flickers."""

    def __init__(self, stream: TextIO, *, coloured: bool = True) -> None:
        self._stream = stream
        self._coloured = coloured
        self._height = 0  # lines that stand there now
        self._closed = False

    def update(self, rows: Sequence[LinkRow]) -> None:
        """Show these rows instead of the last ones. Does nothing after `close`."""
        if self._closed:
            return
        room = max(1, self._lines() - 2)  # a taller block could not be overwritten
        width = max((len(row.relay) for row in rows), default=0)
        lines = [self._line(row, width) for row in rows[:room]]
        if len(rows) > room:
            lines.append(f"… and {len(rows) - room} more")
        up = f"\x1b[{self._height}A" if self._height else ""
        body = "".join(f"{line}{_CLEAR_LINE}\n" for line in lines)
        self._stream.write(f"{up}\r{_NO_WRAP}{body}{_CLEAR_BELOW}{_WRAP}")
        self._stream.flush()
        self._height = len(lines)

    def close(self) -> None:
        """Leave the last rows where they stand."""
        self._closed = True

    def _line(self, row: LinkRow, width: int) -> str:
        state = f"{row.state:<10}"
        if self._coloured and row.state in _COLOURS:
            state = f"{_COLOURS[row.state]}{state}{_RESET}"
        parts = [f"{row.relay:<{width}}  {state} {duration(time.time() - row.since):>6}"]
        if row.ports:
            rtt = "-" if row.rtt_ms is None else f"{row.rtt_ms:.1f} ms"
            # What changes stands first: a narrow terminal cuts the ports, of which there may be many.
            parts.append(f"{row.streams} streams")
            parts.append(f"in {size(row.bytes_in)}, out {size(row.bytes_out)}")
            parts.append(f"rtt {rtt}")
            parts.append(f"ports {text(row.ports)}")
        if row.note:
            note = text(row.note)
            parts.append(f"{_DIM}{note}{_RESET}" if self._coloured else note)
        return "  ".join(parts)

    def _lines(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).lines
        except OSError:
            return 24


def duration(seconds: float) -> str:
    """A time span in two units at most: `9s`, `5m07s`, `3h05m`, `2d04h`."""
    whole = max(0, int(seconds))
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    return f"{minutes}m{whole % 60:02}s" if minutes else f"{whole}s"
