"""Bounds on what callers send that is neither a name nor a secret."""

import base64
import binascii
import re
import struct
import unicodedata

from aditus.crypto.keys import is_public_key
from aditus.domain.errors import AditusError, invalid

MAX_PAGE = 500
DEFAULT_PAGE = 100
PUBLIC_KEY_BYTES = 32
LONGEST_LIFE = 100 * 366 * 86_400.0  # seconds; any date within can be written as RFC 3339

_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}", re.ASCII)
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_CURSOR = struct.Struct("!d")  # in front of the id that tells items of one instant apart


def is_id(text: str) -> bool:
    """Whether this can be one of our ids at all; what cannot is not found without asking the database."""
    return bool(_ID.fullmatch(text))


def line(text: str, field: str, most: int) -> str:
    """One line of free text: NFC, at most `most` characters, no control characters."""
    text = unicodedata.normalize("NFC", text) if len(text) <= 4 * most else text
    if len(text) <= most and not any(unicodedata.category(char) in _UNPRINTABLE for char in text):
        return text
    raise invalid(
        "bad-text",
        f"This text has at most {most} characters, in one line, and no control characters.",
        remedy="Shorten it, or take out what cannot be printed.",
        field=field,
    )


def expiry(expires_at: float | None, now: float) -> float | None:
    """A time to come, at most a hundred years ahead; None: never."""
    if expires_at is None or now < expires_at <= now + LONGEST_LIFE:
        return expires_at
    raise invalid(
        "bad-expiry",
        "The time of expiry lies in the past, or more than a hundred years ahead.",
        remedy="Give a time to come, or leave it out for a key or token that never expires.",
        field="expires_at",
    )


def public_key(raw: bytes | None) -> None:
    """A raw Ed25519 public key; None: the server makes the pair."""
    if raw is not None and not is_public_key(raw):
        raise invalid(
            "bad-public-key",
            f"A public key is the {PUBLIC_KEY_BYTES} bytes of a raw Ed25519 public key.",
            remedy="Give the public key alone, without a header around it.",
            field="public_key",
        )


def idempotency_key(text: str) -> str:
    """An `Idempotency-Key` header, or the empty text for none."""
    if not text or _IDEMPOTENCY_KEY.fullmatch(text):
        return text
    raise invalid(
        "bad-idempotency-key",
        "An Idempotency-Key is 1 to 255 visible ASCII characters.",
        remedy="Use a random UUID.",
        field="Idempotency-Key",
    )


def page_size(limit: int) -> int:
    """How many items a page may have."""
    if 1 <= limit <= MAX_PAGE:
        return limit
    raise invalid(
        "bad-limit",
        f"A page has 1 to {MAX_PAGE} items.",
        remedy="Ask for fewer, and follow `next_cursor`.",
        field="limit",
    )


def cursor(created_at: float, object_id: str) -> str:
    """Where a list goes on: behind this item. Opaque to callers."""
    return base64.urlsafe_b64encode(_CURSOR.pack(created_at) + object_id.encode()).decode().rstrip("=")


def position(text: str) -> tuple[float, str] | None:
    """What `cursor` wrote; None for the empty text: from the beginning."""
    if not text:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        (created_at,) = _CURSOR.unpack_from(raw)
        object_id = raw[_CURSOR.size :].decode("ascii")
    except (binascii.Error, struct.error, ValueError):
        raise bad_cursor() from None
    if not is_id(object_id) or not abs(created_at) < float("inf"):
        raise bad_cursor()
    return created_at, object_id


def row(cursor: str) -> int | None:
    """The number in the cursor of a list of rows that are numbered; None for the empty text."""
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise bad_cursor()
    return int(cursor)


def bad_cursor() -> AditusError:
    """A cursor that we did not write."""
    return invalid(
        "bad-cursor",
        "The cursor is not one that this list gave out.",
        remedy="Take `next_cursor` of the page before, or start without a cursor.",
        field="cursor",
    )
