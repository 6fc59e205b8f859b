"""The text form of secrets, and the type that keeps them out of sight.

    access key       adt_<region>_<id>_<secret>_<crc>
    app credential   adta_<id>_<secret>_<crc>
    API token        adtp_<id>_<secret>_<crc>

`id` is 12 base62 digits and no secret, `secret` 32 bytes, big-endian, as 43 base62 digits, and `crc`
the CRC-32 (zlib's) of all before its underscore as 6 base62 digits: it finds a typo without asking a
server, and lets a scanner tell a leaked secret from noise. Base62 is `0-9A-Za-z`, so that a double click
takes a whole part and nothing needs quoting in a shell, a URL or an INI file.
"""

import hmac
import re
import zlib
from dataclasses import dataclass, field

from aditus.domain.errors import AditusError, invalid

REGION_PATTERN = r"[a-z0-9-]{1,32}"

ID_DIGITS = 12
CONNECT_ID_DIGITS = 22  # 128 bits: the Connect URL must not be guessed either
SECRET_BYTES = 32
SECRET_DIGITS = 43  # 62**43 > 2**256
CRC_DIGITS = 6  # 62**6 > 2**32
ENTROPY_BYTES = 16  # the least that an id is made of
MAX_TEXT = 256  # characters looked at; the longest secret has 100

SECRET_PATTERN = rf"adt(?:_{REGION_PATTERN}|[ap])_[0-9A-Za-z]+_[0-9A-Za-z]{{20,}}(?:_[0-9A-Za-z]+)?"
"""Finds every Aditus secret in a text, also a mistyped or cut one: most of a secret is a secret too.

It takes linear time, and does not match what `mask` returns.
"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_BASE62 = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_REGION = re.compile(REGION_PATTERN, re.ASCII)
_SHOWN = re.compile(rf"(adt(?:_{REGION_PATTERN}|[ap])_[0-9A-Za-z]{{3}})[0-9A-Za-z]{{9}}_", re.ASCII)


def mask(text: str) -> str:
    """What may be shown of a secret: its kind, region and the first digits of its id, `adt_eu_AbC…_****`.

    Of what does not look like a whole secret nothing is shown (`****`).
    """
    shown = _SHOWN.match(text)
    return f"{shown[1]}…_****" if shown else "****"


class SecretText:
    """A secret as text that cannot be printed, logged, pickled or put into JSON by accident.

    `reveal()` alone gives the text; `str`, `repr` and `format` give its mask. Equality takes the same
    time whatever differs.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself, for the one place that must have it."""
        return self._text

    def __str__(self) -> str:
        return mask(self._text)

    def __repr__(self) -> str:
        return f"SecretText({mask(self._text)})"

    def __format__(self, spec: str) -> str:
        return format(mask(self._text), spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretText):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> "SecretText":
        return self

    def __deepcopy__(self, memo: object) -> "SecretText":
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("A SecretText is not to be pickled. Call reveal() where the secret must travel.")


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A secret, taken apart. `secret` is 32 bytes; `region` is empty for app credentials and API tokens."""

    region: str
    key_id: str  # 12 base62 digits, no secret
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kind:
    prefix: str
    name: str  # for people, with its article
    field: str  # the input that it arrives in
    parts: int


_ACCESS_KEY = _Kind("adt", "a secret access key", "secret_access_key", 5)
_APP_SECRET = _Kind("adta", "an app credential", "app_secret", 4)
_TOKEN = _Kind("adtp", "an API token", "token", 4)
_KINDS = {kind.prefix: kind for kind in (_ACCESS_KEY, _APP_SECRET, _TOKEN)}


def parse_access_key(text: str) -> ParsedKey:
    """Read `adt_…`; blanks and quotes around it are forgiven. Raises `AditusError` (invalid) without echo."""
    return _parse(text, _ACCESS_KEY)


def parse_app_secret(text: str) -> ParsedKey:
    """Read `adta_…`, the credential of an app. Forgives and raises as `parse_access_key`."""
    return _parse(text, _APP_SECRET)


def parse_token(text: str) -> ParsedKey:
    """Read `adtp_…`, an API token. Forgives and raises as `parse_access_key`."""
    return _parse(text, _TOKEN)


def format_access_key(region: str, key_id: str, secret: bytes) -> SecretText:
    """The text of an access key. `ValueError` when a part has the wrong form: that is the caller's defect."""
    if not _REGION.fullmatch(region):
        raise ValueError("a region is 1 to 32 of a-z, 0-9 and -")
    return _format(f"adt_{region}", key_id, secret)


def format_app_secret(credential_id: str, secret: bytes) -> SecretText:
    """The text of an app credential; `ValueError` as for `format_access_key`."""
    return _format("adta", credential_id, secret)


def format_token(token_id: str, secret: bytes) -> SecretText:
    """The text of an API token; `ValueError` as for `format_access_key`."""
    return _format("adtp", token_id, secret)


def new_id(entropy: bytes) -> str:
    """An id of 12 base62 digits (71 bits) from at least 16 random bytes; the bias is below 2**-56."""
    return _encode(_number(entropy) % 62**ID_DIGITS, ID_DIGITS)


def new_connect_id(entropy: bytes) -> str:
    """A connect id of 22 base62 digits from at least 16 random bytes; 16 bytes map one to one."""
    return _encode(_number(entropy) % 62**CONNECT_ID_DIGITS, CONNECT_ID_DIGITS)


def _number(entropy: bytes) -> int:
    if len(entropy) < ENTROPY_BYTES:
        raise ValueError(f"an id is made of at least {ENTROPY_BYTES} random bytes")
    return int.from_bytes(entropy, "big")


def _encode(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _decode(digits: str) -> int:
    number = 0
    for digit in digits:
        number = number * 62 + _VALUES[digit]
    return number


def _checksum(body: str) -> str:
    return _encode(zlib.crc32(body.encode()), CRC_DIGITS)


def _format(head: str, key_id: str, secret: bytes) -> SecretText:
    if len(key_id) != ID_DIGITS or not _BASE62.fullmatch(key_id):
        raise ValueError(f"an id is {ID_DIGITS} base62 digits")
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret is {SECRET_BYTES} bytes")
    body = f"{head}_{key_id}_{_encode(int.from_bytes(secret, 'big'), SECRET_DIGITS)}"
    return SecretText(f"{body}_{_checksum(body)}")


def _parse(text: str, kind: _Kind) -> ParsedKey:
    if len(text) > MAX_TEXT:
        raise _refuse(kind, "length", f"The text is far too long for {kind.name}.")
    text = text.strip().strip("'\"`").strip()
    if not text:
        raise _refuse(kind, "empty", f"There is nothing where {kind.name} should be.")
    head, *rest = text.split("_")
    if head != kind.prefix:
        other = _KINDS.get(head) if rest else None
        found = f"This is {other.name}" if other else "The text is no secret of Aditus"
        raise _refuse(kind, "prefix", f"{found}; {kind.name} begins with {kind.prefix}_.")
    if len(rest) != kind.parts - 1:
        raise _refuse(
            kind,
            "length",
            f"The text has {len(rest) + 1} parts between underscores; {kind.name} has {kind.parts}.",
        )
    region = rest[0] if kind is _ACCESS_KEY else ""
    key_id, secret, checksum = rest[-3:]
    if kind is _ACCESS_KEY and not _REGION.fullmatch(region):
        raise _refuse(kind, "region", "The region in it (the second part) is not 1 to 32 of a-z, 0-9 and -.")
    for name, part, digits in (
        ("id", key_id, ID_DIGITS),
        ("secret", secret, SECRET_DIGITS),
        ("checksum", checksum, CRC_DIGITS),
    ):
        if not _BASE62.fullmatch(part):
            raise _refuse(kind, "alphabet", f"The {name} in it has a character other than 0-9, A-Z and a-z.")
        if len(part) != digits:
            raise _refuse(kind, "length", f"The {name} in it has {len(part)} digits instead of {digits}.")
    if _checksum(text.rpartition("_")[0]) != checksum:
        raise _refuse(kind, "checksum", "Its checksum does not match: there is a typo in it.")
    number = _decode(secret)
    if number >> (8 * SECRET_BYTES):
        raise _refuse(kind, "range", "Its secret is a number that no secret has; Aditus did not make it.")
    return ParsedKey(region, key_id, number.to_bytes(SECRET_BYTES, "big"))


def _refuse(kind: _Kind, why: str, message: str) -> AditusError:
    return invalid(
        f"secret-{why}",
        message,
        remedy="Copy the whole text again, exactly as it was shown, or have a new one made.",
        field=kind.field,
    )
