"""What forms send is read without trust: it is what was meant, or an error that names its field."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.control.console import forms, words
from aditus.control.console.forms import FORM, MAX_FIELDS, Form
from aditus.domain.errors import AditusError
from tests.console.visitor import Reading, built

TEXT = st.text(max_size=30)
NUMBERS = st.integers(-10, 100_000)


def reason(call: Callable[..., object], *args: object) -> tuple[str, str]:
    """Why this is refused, and which field was wrong; two empty texts: it is not refused."""
    try:
        call(*args)
    except AditusError as error:
        return error.reason, error.field
    return "", ""


@given(
    st.lists(st.tuples(TEXT, TEXT.filter(lambda text: "\r" not in text and "\0" not in text)), max_size=10)
)
def test_what_a_browser_encodes_is_read_as_it_was(fields: list[tuple[str, str]]) -> None:
    form = forms.parse(urlencode(fields).encode(), f"{FORM}; charset=utf-8")
    for name, _ in fields:
        assert form.every(name) == [value for other, value in fields if other == name]
        assert form[name] == form.every(name)[0]
    assert (form["no such field" * 3], form.every("no such field" * 3)) == ("", [])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    assert reason(forms.parse, body, FORM) in (("", ""), ("bad-form", ""))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a=b", ""),
        (b"a=b", "text/plain"),
        (b"a=b", f"{FORM}x"),
        (b"a=\xff", FORM),
        (b"a=%ff", FORM),
        (b"a=%ED%A0%80", FORM),  # half of a surrogate pair
        (b"&".join([b"a=b"] * (MAX_FIELDS + 1)), FORM),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, content_type: str) -> None:
    assert reason(forms.parse, body, content_type) == ("bad-form", "")


def test_lines_end_as_the_server_means_it() -> None:
    assert forms.parse(b"text=one%0D%0Atwo", FORM)["text"] == "one\ntwo"


@given(st.dates(max_value=date(9999, 12, 30)), st.sampled_from(["", " "]))
def test_the_last_day_ends_at_midnight_and_is_shown_as_it_was_typed(day: date, space: str) -> None:
    end = forms.last_day(f"{space}{day.isoformat()}{space}", "expires_at")
    assert end is not None
    assert datetime.fromtimestamp(end, UTC) == datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(
        1
    )
    assert words.day(end).lstrip("0") == day.isoformat().lstrip("0")  # strftime pads no years before 1000


@pytest.mark.parametrize(
    "text",
    [
        "tomorrow",
        "2030-02-30",
        "2030-1-3",
        "20300131",
        "2030-W05-4",
        "2030-01-31T10:00",
        "2030-01-31x",
        "9999-12-31",
    ],
)
def test_no_other_text_is_a_day(text: str) -> None:
    assert reason(forms.last_day, text, "expires_at") == ("bad-day", "expires_at")


@given(TEXT)
def test_any_text_is_a_day_never_or_refused(text: str) -> None:
    assert reason(forms.last_day, text, "expires_at") in (("", ""), ("bad-day", "expires_at"))


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_number_is_within_its_bounds(number: int, at_least: int, at_most: int) -> None:
    if max(0, at_least) <= number <= at_most:
        assert forms.number(str(number), "n", at_least, at_most) == number
    else:
        assert reason(forms.number, str(number), "n", at_least, at_most) == ("bad-number", "n")


@pytest.mark.parametrize("text", ["", "x", "+1", "1.0", "1e3", "٣", "²", "1 ", "1" * 10, "0x10", "1_000"])
def test_a_number_is_digits_alone(text: str) -> None:
    assert reason(forms.number, text, "n", 0, 10**12) == ("bad-number", "n")


@given(st.lists(st.integers(1, 65_535), max_size=8), st.sampled_from([",", " ", ", ", "\n", " ,\t"]))
def test_ports_stand_between_commas_or_spaces(ports: list[int], between: str) -> None:
    assert forms.ports(between.join(map(str, ports)), "ports") == (ports or None)


@pytest.mark.parametrize("text", ["0", "65536", "5432;6379", "5432-5440", "5432, x"])
def test_no_other_text_is_ports(text: str) -> None:
    assert reason(forms.ports, text, "ports") == ("bad-number", "ports")


@given(st.lists(st.ip_addresses().map(str), max_size=5), st.sampled_from([",", " ", "\n", ", "]))
def test_networks_are_told_apart_and_checked_elsewhere(networks: list[str], between: str) -> None:
    assert forms.networks(between.join(networks)) == (networks or None)


@given(TEXT)
def test_a_choice_is_one_of_those_that_were_offered(text: str) -> None:
    choices = {"never": "Never", "7": "In 7 days"}
    form = Form([("expires", text)])
    if text in choices:
        assert forms.choice(form, "expires", choices) == text
    else:
        assert reason(forms.choice, form, "expires", choices) == ("bad-choice", "expires")
    assert reason(forms.choice, form, "another", choices) == ("bad-choice", "another")


def test_what_is_wrong_is_said_at_its_field(tmp_path: Path) -> None:
    good = {"access_key_id": "new", "capability": "integration", "expires": "never"}
    with built(tmp_path) as house:
        cookie = house.session("owner")
        place, token = house.address("/console/{locator}/{region}"), house.token(cookie)
        for field, wrong in {
            "access_key_id": {"access_key_id": "x" * 51},
            "capability": {"capability": "none"},
            "expires": {"expires": "1"},
            "expires_at": {"expires": "day", "expires_at": "2020-01-31"},
            "description": {"description": "x" * 501},
            "allowed_ports": {"allowed_ports": "5432-5440"},
            "allowed_sources": {"allowed_sources": "192.0.2.0/33"},
        }.items():
            fields = {"form_token": token, **good, **wrong}
            answer = house.post(f"{place}/access-keys/generate", fields, cookie)
            page = Reading(answer.text)
            assert answer.status_code == 422
            assert [said["id"] for _, said in page.tags if said.get("aria-invalid")] == [field]
            assert f"{field}-wrong" in page.values("id")
            assert dict(page.sheets[-1].fields)["access_key_id"] == fields["access_key_id"]  # as it was typed
        assert not house.plane.services.keys.list(house.plane.owner, "0", "local").items
