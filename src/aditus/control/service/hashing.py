"""Passwords are hashed two at a time: each takes 64 MiB and 50 ms of a core, and strangers may ask for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aditus.crypto.passwords import hash_password, verify_password
from aditus.domain.errors import AditusError, Code

AT_ONCE = 2
WAITING = 16
"""Requests that wait for their turn. More would take the threads that all other requests need."""
WAIT_SECONDS = 5.0

_turns = threading.BoundedSemaphore(AT_ONCE)
_places = threading.BoundedSemaphore(AT_ONCE + WAITING)


def hashed(password: str) -> str:
    """As `crypto.passwords.hash_password`, in its turn. Raises unavailable `sign-in-busy`."""
    with _turn():
        return hash_password(password)


def verified(password: str, stored: str | None) -> bool:
    """As `crypto.passwords.verify_password`, in its turn. Raises unavailable `sign-in-busy`."""
    with _turn():
        return verify_password(password, stored)


@contextmanager
def _turn() -> Iterator[None]:
    if not _places.acquire(blocking=False):
        raise _busy()
    try:
        if not _turns.acquire(timeout=WAIT_SECONDS):
            raise _busy()
        try:
            yield
        finally:
            _turns.release()
    finally:
        _places.release()


def _busy() -> AditusError:
    return AditusError(
        Code.UNAVAILABLE,
        "sign-in-busy",
        "Too many people sign in at this moment.",
        remedy="Try again in some seconds.",
    )
