"""Passwords of people, as argon2id hashes (RFC 9106, second recommended option: 64 MiB, 3 passes).

One check costs about 50 ms of CPU and 64 MiB: never on a relay's loop. argon2-cffi belongs to the
`[server]` extra, so it is imported on first use.
"""

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MAX_PASSWORD = 1024  # characters; what a stranger can make us hash


def hash_password(password: str) -> str:
    """The text to store, with its own salt and costs in it. `ValueError` above `MAX_PASSWORD` characters."""
    if len(password) > MAX_PASSWORD:
        raise ValueError(f"a password has at most {MAX_PASSWORD} characters")
    return _hasher().hash(_normal(password))


def verify_password(password: str, stored: str | None) -> bool:
    """Whether `password` is the stored one. `stored` None: no such user, and finding out takes as long."""
    from argon2.exceptions import VerifyMismatchError

    if len(password) > MAX_PASSWORD:
        return False
    if stored is None:
        _hasher().hash(_normal(password))
        return False
    try:
        return _hasher().verify(stored, _normal(password))
    except VerifyMismatchError:
        return False


def needs_rehash(stored: str) -> bool:
    """Whether the costs have risen since: hash again at the next good sign-in."""
    return _hasher().check_needs_rehash(stored)


def _normal(password: str) -> str:
    return unicodedata.normalize("NFC", password)  # keyboards differ in how they send an é


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher

    return PasswordHasher()
