"""How values travel: times as RFC 3339 in UTC, public keys as base64url."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from aditus.crypto.keys import public_of_text
from aditus.domain.errors import invalid

MAX_TIME_TEXT = 40  # characters


def rfc3339(time: object) -> object:
    """Unix seconds as `2025-11-23T18:02:11.402000Z`; None stays None."""
    if not isinstance(time, float | int):
        return time
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def unix_seconds(text: object) -> float:
    """Reads RFC 3339 with any offset; what has none, or is no text, is refused."""
    if isinstance(text, str) and len(text) <= MAX_TIME_TEXT and "T" in text.upper():
        try:
            moment = datetime.fromisoformat(text.upper())
        except ValueError:
            moment = datetime.min  # noqa: DTZ901 - without an offset, so refused below
        if moment.tzinfo is not None:
            return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    raise ValueError("A time is written as in RFC 3339: 2030-01-31T12:00:00Z")


_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})
SentTime = Annotated[str, BeforeValidator(rfc3339), _SCHEMA]
"""A time in an answer."""
ReadTime = Annotated[float, BeforeValidator(unix_seconds), _SCHEMA]
"""A time in a request."""


def public_key(text: str) -> bytes:
    """The raw Ed25519 public key, 32 bytes, in base64url with or without padding."""
    try:
        return public_of_text(text)
    except ValueError:
        raise invalid(
            "bad-public-key",
            "A public key is the 32 bytes of a raw Ed25519 public key in base64url.",
            remedy="It has 43 characters of A-Z, a-z, 0-9, - and _.",
            field="public_key",
        ) from None
