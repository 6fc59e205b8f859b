"""No secret leaves through a log line, from wherever in the record it comes."""

import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain import keytext
from aditus.telemetry.redact import BROKEN, RedactingFormatter, redact

KEY = keytext.format_access_key("eu-1", "AbCdEf012345", bytes(range(32))).reveal()
APP = keytext.format_app_secret("AbCdEf012345", bytes(range(32))).reveal()
TOKEN = keytext.format_token("AbCdEf012345", bytes(range(32))).reveal()
PROOF = "eyJhbGciOiJFZERTQSJ9.eyJhdWQiOiJ4In0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"key {KEY}.", "key adt_eu-1_AbC…_****."),
        (f"{APP},{TOKEN}", "adta_AbC…_****,adtp_AbC…_****"),
        (f"accessKey={KEY}\nrelay=x", "accessKey=adt_eu-1_AbC…_****\nrelay=x"),
        (f"cut {KEY[:-20]}", "cut adt_eu-1_AbC…_****"),
        (f"x{KEY}x", "xadt_eu-1_AbC…_****"),
        (f"Authorization: Bearer {PROOF}", "Authorization: ****"),
        (f"authorization:Bearer {TOKEN}\r\n", "authorization:****\r\n"),
        (f"{{'Authorization': 'Bearer {PROOF}', 'a': 1}}", "{'Authorization': '****', 'a': 1}"),
        (f"(b'authorization', b'Bearer {PROOF}')", "(b'authorization', b'****')"),
        (
            f'{{"h": "{{\\"Authorization\\": \\"Bearer {PROOF}\\"}}"}}',
            '{"h": "{\\"Authorization\\": \\"****\\"}"}',
        ),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: ****"),
        ("Authorization: dXNlcjpwYXNz", "Authorization: ****"),
        (f"sent bearer {PROOF}!", "sent bearer ****!"),
        ("proxy http://user:hunter2@proxy:3128/", "proxy http://user:****@proxy:3128/"),
        ("postgresql+psycopg://:hunter2@db/x", "postgresql+psycopg://:****@db/x"),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "a bearer proof is bad",
        "wss://relay.example:8443/connect/abc",
        "mail owner@localhost",
        "adt_eu-1_AbC…_****",
        "",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redact(text) == text


@given(st.text(), st.binary(min_size=32, max_size=32), st.text())
def test_no_secret_digits_survive_in_any_surroundings(before: str, secret: bytes, after: str) -> None:
    text = keytext.format_access_key("eu", "AbCdEf012345", secret).reveal()
    assert text.split("_")[3] not in redact(f"{before}{text}{after}")


@given(st.text() | st.from_regex(re.compile(keytext.SECRET_PATTERN)))
def test_what_is_redacted_stays_as_it_is(text: str) -> None:
    assert redact(redact(text)) == redact(text)


# --- whole records ----------------------------------------------------------------------------


class Shy:
    """A value that fails when it is shown."""

    def __str__(self) -> str:
        raise RuntimeError(KEY)


def record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("aditus.test", logging.INFO, "/src/x.py", 7, message, args, None)


def test_message_arguments_and_traceback_are_redacted() -> None:
    written = record(f"{KEY} and %s", TOKEN)
    try:
        raise ValueError(APP)
    except ValueError as error:
        written.exc_info = (ValueError, error, error.__traceback__)
    line = RedactingFormatter().format(written)
    assert line.startswith("adt_eu-1_AbC…_**** and adtp_AbC…_****\nTraceback")
    assert line.endswith("ValueError: adta_AbC…_****")


@pytest.mark.parametrize("args", [(KEY,), (Shy(),)])
def test_a_broken_log_line_says_where_it_is_and_not_what_it_would_have_said(args: tuple[object, ...]) -> None:
    line = RedactingFormatter().format(record("%d" if args == (KEY,) else "%s", *args))
    assert line == BROKEN
