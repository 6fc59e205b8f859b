"""What a form sent: read without trust, with errors that name their field."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import parse_qsl

from aditus.domain.errors import AditusError, invalid

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 600  # 500 ticked keys, and what goes with them

MAX_SEARCH = 100  # characters of a search

_LIST = re.compile(r"[\s,]+")


class Form:
    """The fields of a form, or of the query of an address. What is not there is the empty text."""

    def __init__(self, fields: Sequence[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, list[str]] = {}
        for name, value in fields:
            self._fields.setdefault(name, []).append(value)

    def __getitem__(self, name: str) -> str:
        return self._fields.get(name, [""])[0]

    def every(self, name: str) -> list[str]:
        """All values of a field, as ticked boxes send them."""
        return list(self._fields.get(name, ()))


def parse(body: bytes, content_type: str) -> Form:
    """Read what a browser sends for a form. Raises `AditusError`."""
    if content_type.partition(";")[0].strip().lower() != FORM:
        raise _unreadable()
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError:  # of UnicodeDecodeError too
        raise _unreadable() from None
    if any("\0" in value for _, value in fields):
        raise _unreadable()
    return Form([(name, value.replace("\r\n", "\n")) for name, value in fields])


def query(fields: Sequence[tuple[str, str]]) -> Form:
    """Read what stands behind the ? of an address. Raises `AditusError`."""
    if any("\0" in value for _, value in fields):  # which no database can look for
        raise invalid("bad-query", "The address has a character that no text has.", remedy="Take it out.")
    return Form(fields)


def last_day(text: str, field: str) -> float | None:
    """The end of a day, in UTC, as Unix seconds; nothing: None, never."""
    written = text.strip()
    if not written:
        return None
    try:
        day = date.fromisoformat(written)
        if written != day.isoformat():
            raise ValueError  # a week, or without hyphens
        end = datetime.combine(day, time.min, UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise invalid("bad-day", "This is no day.", remedy="Write it as 2030-01-31.", field=field) from None
    return end.timestamp()


def number(text: str, field: str, at_least: int, at_most: int) -> int:
    """A whole number within bounds."""
    if text.isascii() and text.isdigit() and len(text) <= 9 and at_least <= int(text) <= at_most:
        return int(text)
    raise invalid(
        "bad-number",
        f"This is no whole number from {at_least} to {at_most}.",
        remedy="Write it with digits alone.",
        field=field,
    )


def ports(text: str, field: str) -> list[int] | None:
    """Ports between commas or spaces; nothing: None, any port."""
    words = [word for word in _LIST.split(text) if word]
    return [number(word, field, 1, 65535) for word in words] or None


def networks(text: str) -> list[str] | None:
    """Networks between commas, spaces or lines, to be checked by whoever knows; nothing: None, any."""
    return [word for word in _LIST.split(text) if word] or None


def choice(form: Form, name: str, choices: Mapping[str, object]) -> str:
    """One of the values that were offered."""
    if form[name] in choices:
        return form[name]
    raise invalid("bad-choice", "This is not one of the choices.", remedy="Choose one.", field=name)


def _unreadable() -> AditusError:
    return invalid("bad-form", "What was sent is no form of this page.", remedy="Open the page again.")
