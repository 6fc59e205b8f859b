"""Versions of what can be changed: whoever names the one that was read changes nothing newer."""

import hashlib
import re

from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.model import AccessKey, App

MAX_IF_MATCH = 1_000  # characters
CHANGED_MEANWHILE = "changed-meanwhile"

_TAG = r'(?:W/)?"[!#-~]*"'
_IF_MATCH = re.compile(rf"\*|{_TAG}(?:[ \t]*,[ \t]*{_TAG})*", re.ASCII)


def key_version(key: AccessKey) -> str:
    """The strong ETag of a key: another one after each change by people, the same after a mere use."""
    return f'"{key.key_id}.{key.epoch}"'


def app_version(app: App) -> str:
    """The strong ETag of an app: of its name and its association."""
    content = "\0".join((app.app_id, app.name, app.key_id))
    return f'"{hashlib.sha256(content.encode()).hexdigest()[:24]}"'


def check(if_match: str, version: str) -> None:
    """Hold an `If-Match` header (empty: none) against the version that is there, within the transaction.

    Raises conflict `changed-meanwhile`, invalid `bad-if-match`. A weak tag never matches (RFC 9110, 13.1.1).
    """
    if not if_match:
        return
    if len(if_match) > MAX_IF_MATCH or not _IF_MATCH.fullmatch(if_match):
        raise invalid(
            "bad-if-match",
            "If-Match is neither * nor a list of entity tags.",
            remedy="Send the ETag of the answer that you read, with its quotes.",
            field="If-Match",
        )
    if if_match != "*" and version not in re.findall(_TAG, if_match):
        raise AditusError(
            Code.CONFLICT,
            CHANGED_MEANWHILE,
            "It was changed since you read it, so nothing was changed now.",
            remedy="Read it again, look whether your change is still right, and send it with the new ETag.",
            field="If-Match",
        )
