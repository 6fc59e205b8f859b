"""How the console says times, sizes and numbers."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import aditus.control.console
from aditus.control.console import words

NOW = 1_800_000_000.0
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
SECONDS = st.floats(0, 100 * 365 * DAY)
UNITS = {
    "second": 1.0,
    "minute": MINUTE,
    "hour": HOUR,
    "day": DAY,
    "month": 30.44 * DAY,
    "year": 365.25 * DAY,
}


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (0, "just now"),
        (-4.9, "just now"),
        (5, "5 seconds ago"),
        (MINUTE - 0.1, "59 seconds ago"),
        (MINUTE, "1 minute ago"),
        (-3 * MINUTE, "in 3 minutes"),
        (HOUR, "1 hour ago"),
        (-25 * HOUR, "in 1 day"),
        (60 * DAY, "60 days ago"),
        (61 * DAY, "2 months ago"),
        (365 * DAY, "11 months ago"),
        (366 * DAY, "1 year ago"),
        (-730.5 * DAY, "in 2 years"),
    ],
)
def test_times_are_said_as_people_do(ago: float, text: str) -> None:
    assert words.relative(NOW - ago, NOW) == text


def said(ago: float) -> float:
    """The seconds that stand in what is said."""
    text = words.relative(NOW - ago, NOW)
    if text == "just now":
        return 0.0
    found = re.fullmatch(r"(?:in )?(\d+) ([a-z]+?)s?(?: ago)?", text)
    assert found is not None, text
    assert (found[1] == "1") is not text.removesuffix(" ago").endswith("s")
    return int(found[1]) * UNITS[found[2]]


@given(SECONDS, SECONDS)
def test_what_is_longer_ago_never_sounds_shorter(one: float, other: float) -> None:
    shorter, longer = sorted((one, other))
    assert said(shorter) <= said(longer)


@given(SECONDS)
def test_nothing_is_said_to_be_longer_ago_than_it_is(ago: float) -> None:
    assert said(ago) <= ago + 1e-6  # which is less than one float to the next
    assert said(-ago) == said(ago)


def test_scripts_say_times_with_the_same_steps() -> None:
    script = Path(aditus.control.console.__path__[0], "static/times.js").read_text()
    rows = re.findall(r'\[([\w.* ]+), ([\w.* ]+), "(\w+)"\]', script)
    steps = [(_product(below), _product(unit), name) for below, unit, name in rows]
    assert steps == list(words._STEPS)


def _product(text: str) -> float:
    """`60 * 86400`, or `Infinity`."""
    product = 1.0
    for factor in text.split("*"):
        product *= float(factor)
    return product


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (10**15, "1.0 PB"),
    ],
)
def test_sizes_have_two_or_three_digits(count: int, text: str) -> None:
    assert words.size(count) == text


@given(st.integers(0, 10**17))
def test_a_size_is_nearly_what_it_says(count: int) -> None:
    number, unit = words.size(count).split()
    assert len(number) <= 4
    assert float(number) * 1_000 ** ("B", "kB", "MB", "GB", "TB", "PB").index(unit) == pytest.approx(
        count, rel=0.06
    )


@given(st.integers(0, 10**9))
def test_counts_have_commas_and_the_right_noun(number: int) -> None:
    digits, noun = words.count(number, "app").split()
    assert int(digits.replace(",", "")) == number
    assert all(len(group) == 3 for group in digits.split(",")[1:])
    assert noun == ("app" if number == 1 else "apps")
    assert words.count(number, "entry", "entries").split()[1] == ("entry" if number == 1 else "entries")


@given(st.floats(0, 4e9))
def test_a_time_as_an_element_is_exact_on_hover(at: float) -> None:
    shown = str(words.when(at))
    assert f'datetime="{words.iso(at)}"' in shown
    assert f'title="{words.exact(at)}"' in shown
    assert words.when(None, "<b>never</b>") == '<span class="quiet">&lt;b&gt;never&lt;/b&gt;</span>'
