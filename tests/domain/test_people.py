"""Addresses and passwords of people: one form for what is the same, and a plain no for what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain.errors import AditusError, Code
from aditus.domain.people import MAX_EMAIL, MAX_PASSWORD, MIN_PASSWORD, email, new_password


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("owner@localhost", "owner@localhost"),
        ("  Anna.Meier+keys@Example.COM ", "anna.meier+keys@example.com"),
        ("jose\N{COMBINING ACUTE ACCENT}@x.example", "jos\N{LATIN SMALL LETTER E WITH ACUTE}@x.example"),
        ("a" * 64 + "@" + "b" * (MAX_EMAIL - 65), "a" * 64 + "@" + "b" * (MAX_EMAIL - 65)),
    ],
)
def test_the_same_address_has_one_form(text: str, stored: str) -> None:
    assert email(text) == stored
    assert email(stored) == stored


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "@x",
        "a@",
        "a b@x",
        "a@b@c",
        "a\n@x",
        "a\N{ZERO WIDTH SPACE}@x",
        "a" * 65 + "@x",
        "a@" + "b" * MAX_EMAIL,
        "a@" + "b" * 10_000,
    ],
)
def test_what_is_no_address_is_refused_without_echo(text: str) -> None:
    with pytest.raises(AditusError) as refused:
        email(text)
    assert (refused.value.code, refused.value.reason) == (Code.INVALID, "bad-email")
    assert refused.value.field == "email"
    assert not text or text not in str(refused.value)


@given(st.text(max_size=300))
def test_an_address_is_bounded_and_printable_whatever_is_sent(text: str) -> None:
    try:
        stored = email(text)
    except AditusError:
        return
    assert len(stored) <= MAX_EMAIL
    assert stored.isprintable()


def test_a_password_is_long_enough_and_not_too_long_to_hash() -> None:
    for length in (MIN_PASSWORD, MAX_PASSWORD):
        new_password("x" * length, "new")
    for length in (0, MIN_PASSWORD - 1, MAX_PASSWORD + 1):
        with pytest.raises(AditusError) as refused:
            new_password("x" * length, "new")
        assert (refused.value.reason, refused.value.field) == ("bad-password", "new")
        assert refused.value.remedy
