"""The status line: what stands on the terminal after each update, on a terminal that the test plays."""

import io
import re

import pytest

from aditus.cli import statusline
from aditus.cli.statusline import StatusLine, duration
from aditus.telemetry.status import LinkRow

NOW = 1_700_000_000.0
WIDTH = 80
_CODE = re.compile(r"\x1b\[(\??)(\d*)([A-Za-z])")


class Screen(io.StringIO):
    """A terminal that knows what the status line needs, and fails on anything else."""

    def __init__(self, height: int = 24) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self.row = self.column = 0
        self.height = height
        self.wraps = True
        self.writes = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.writes += 1
        at = 0
        while at < len(text):
            if found := _CODE.match(text, at):
                self._code(*found.groups())
                at = found.end()
                continue
            self._put(text[at])
            at += 1
        return len(text)

    def _code(self, private: str, number: str, letter: str) -> None:
        match private, number, letter:
            case "?", "7", "l" | "h":
                self.wraps = letter == "h"
            case "", _, "A":
                self.row -= int(number or 1)
                assert self.row >= 0, "above the top"
            case "", "", "K":
                self.lines[self.row] = self.lines[self.row][: self.column]
            case "", "", "J":
                self.lines = [*self.lines[: self.row], self.lines[self.row][: self.column]]
            case "", _, "m":
                pass
            case _:
                pytest.fail(f"not a code that every terminal knows: {private}{number}{letter}")

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self.row, self.column = self.row + 1, 0
            if self.row == len(self.lines):
                self.lines.append("")
        else:
            assert not self.wraps or self.column < WIDTH, "wrapped"
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    @property
    def shown(self) -> list[str]:
        return [line.rstrip() for line in self.lines if line.strip()]


def row(relay: str = "relay.example.com", state: str = "attached", **more: object) -> LinkRow:
    values: dict[str, object] = {
        "ports": "5432 6379(port-not-allowed)",
        "streams": 3,
        "bytes_in": 1_234_567,
        "bytes_out": 89,
        "rtt_ms": 12.34,
        "since": NOW - 65,
        "note": "",
        **more,
    }
    return LinkRow(relay=relay, state=state, **values)  # type: ignore[arg-type]  # each test names its own


WAITING = row(state="waiting", ports="", streams=0, rtt_ms=None, since=NOW - 2, note="agent-lost")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statusline.time, "time", lambda: NOW)  # type: ignore[attr-defined]


def test_a_row_says_what_there_is_to_know() -> None:
    screen = Screen()
    StatusLine(screen).update([row()])
    (shown,) = screen.shown
    assert re.split(r"\s{2,}", shown) == [
        *("relay.example.com", "attached", "1m05s", "3 streams", "in 1.23 MB, out 89 B", "rtt 12.3 ms"),
        "ports 5432 6379(port-not-allowed)",
    ]


def test_a_link_that_is_down_says_why() -> None:
    screen = Screen()
    StatusLine(screen).update([WAITING])
    assert screen.shown == ["relay.example.com  waiting        2s  agent-lost"]


def test_each_update_takes_the_place_of_the_last_one() -> None:
    screen = Screen()
    screen.write("$ aditus connect …\n")
    line = StatusLine(screen)
    line.update([row("a"), row("b.example.com")])
    line.update([row("a", streams=4), row("b.example.com", state="stopped", ports="")])
    assert [shown.split()[:2] for shown in screen.shown] == [
        ["$", "aditus"],
        ["a", "attached"],
        ["b.example.com", "stopped"],
    ]
    assert "4 streams" in screen.shown[1]
    line.update([WAITING])  # fewer and shorter: nothing of the old ones is left
    assert screen.shown[1:] == ["relay.example.com  waiting        2s  agent-lost"]
    line.update([row("a"), row("b"), row("c")])
    assert len(screen.shown) == 4


def test_states_stand_below_each_other() -> None:
    screen = Screen()
    StatusLine(screen).update([row("a"), row("b.example.com")])
    assert len({shown.index("attached") for shown in screen.shown}) == 1


def test_an_update_is_a_single_write_so_that_nothing_flickers() -> None:
    screen = Screen()
    line = StatusLine(screen)
    line.update([row(), row()])
    line.update([row(), row()])
    assert screen.writes == 2


def test_long_rows_are_cut_by_the_terminal_which_wraps_again_afterwards() -> None:
    screen = Screen()
    StatusLine(screen).update([row(note="x" * 1000)])
    assert screen.wraps  # and `Screen` has checked that it did not meanwhile


def test_more_rows_than_the_terminal_has_are_counted() -> None:
    screen = Screen()
    line = StatusLine(screen)
    for _ in range(2):
        line.update([row(f"r{i}") for i in range(100)])
    assert len(screen.shown) == 23  # of the 24 that a terminal without a size is taken for
    assert screen.shown[-1] == "… and 78 more"


def test_the_last_rows_stay_and_nothing_comes_after_them() -> None:
    screen = Screen()
    line = StatusLine(screen)
    line.update([row()])
    line.close()
    line.close()
    line.update([WAITING])
    assert "attached" in screen.shown[0]
    assert (screen.row, screen.column) == (1, 0)  # the prompt comes on a line of its own


def test_no_colour_where_none_is_wanted() -> None:
    plain, coloured = io.StringIO(), io.StringIO()
    StatusLine(plain, coloured=False).update([row()])
    StatusLine(coloured).update([row()])
    assert "\x1b[32m" not in plain.getvalue()
    assert "\x1b[32m" in coloured.getvalue()


def test_a_note_of_others_does_not_drive_the_terminal() -> None:
    screen = Screen()
    StatusLine(screen).update([row(note="\x1b[2J\nrm -rf")])
    assert len(screen.shown) == 1
    assert "��" not in screen.shown[0]
    assert "�[2J�rm -rf" in screen.shown[0]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3_599, "59m59s"),
        (3_600, "1h00m"),
        (86_399, "23h59m"),
        (86_400, "1d00h"),
        (100 * 86_400 + 7_200, "100d02h"),
    ],
)
def test_a_time_span_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
