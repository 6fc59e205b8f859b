"""What people may call things. Each check returns the name in normal form or raises `AditusError` (invalid).

Names of people's own (access keys, apps) are free text within reason; labels (regions, capabilities)
are short and plain because they travel in keys, URLs and host names. No message echoes the name.
"""

import re
import unicodedata

from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import REGION_PATTERN

MAX_NAME = 50  # code points after NFC; the console's field has the same
MAX_DECOMPOSED = (
    4 * MAX_NAME
)  # no character decomposes into more than 4: a longer text cannot shrink to MAX_NAME

_LABEL = re.compile(REGION_PATTERN, re.ASCII)
_INVISIBLE = frozenset(
    {"Cc", "Cf", "Cs", "Zl", "Zp"}
)  # control, format, surrogate, line and paragraph separators


def access_key_id(text: str) -> str:
    """The user's name for an access key, in NFC: 1 to 50 code points, fit for a line, path and command."""
    return _name(text, "access_key_id", "An access key ID")


def app_name(text: str) -> str:
    """The name of an app, in NFC, by the rules of `access_key_id`."""
    return _name(text, "name", "An app name")


def organization_name(text: str) -> str:
    """The name of an organisation, in NFC, by the rules of `access_key_id`."""
    return _name(text, "organization", "An organisation name")


def subscription_name(text: str) -> str:
    """The name of a subscription, in NFC, by the rules of `access_key_id`."""
    return _name(text, "name", "A subscription name")


def region_name(text: str) -> str:
    """A region's name: 1 to 32 of a-z, 0-9 and - (it is a part of every secret access key)."""
    return _label(text, "region", "A region name")


def capability_name(text: str) -> str:
    """A capability's name, by the rules of `region_name`."""
    return _label(text, "capability", "A capability name")


def _name(text: str, field: str, what: str) -> str:
    if len(text) > MAX_DECOMPOSED:
        raise _refuse(field, f"{what} has at most {MAX_NAME} characters.")
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise _refuse(field, f"{what} has at least 1 character.")
    if len(name) > MAX_NAME:
        raise _refuse(field, f"{what} has at most {MAX_NAME} characters; this one has {len(name)}.")
    if any(unicodedata.category(char) in _INVISIBLE for char in name):
        raise _refuse(field, f"{what} has no invisible characters (control, format, line breaks).")
    if name != name.strip():
        raise _refuse(field, f"{what} neither begins nor ends with a space.")
    if name.startswith("-"):
        raise _refuse(field, f"{what} does not begin with '-': it would be taken for an option.")
    if "/" in name or "\\" in name or name in (".", ".."):
        raise _refuse(field, f"{what} has no '/' or '\\' and is not '.' or '..': it is a part of a path.")
    return name


def _label(text: str, field: str, what: str) -> str:
    if not _LABEL.fullmatch(text):
        raise _refuse(field, f"{what} has 1 to 32 of the characters a-z, 0-9 and '-'.")
    return text


def _refuse(field: str, message: str) -> AditusError:
    return invalid("bad-name", message, remedy="Choose another name.", field=field)
