"""The few kinds of failure that a user can meet, each with what to do about it.

A failure is an `AditusError` with one of eight codes. The code decides the HTTP status (table in
`control.api`) and the exit code (table in `cli`); the `reason` is a stable token for programs; the
message and the remedy are for people. What is not an `AditusError` is a defect, and is shown as
`internal` without its text.
"""

from enum import StrEnum


class Code(StrEnum):
    """The kinds of failure, from the reader's point of view."""

    INVALID = "invalid"  # what you sent or typed cannot be right
    UNAUTHENTICATED = "unauthenticated"  # we do not know who you are
    FORBIDDEN = "forbidden"  # we know, and you may not
    NOT_FOUND = "not-found"  # there is no such thing, or none that you may know of
    CONFLICT = "conflict"  # it clashes with what is there
    LIMIT = "limit"  # a quota or a rate is used up
    UNAVAILABLE = "unavailable"  # not now: a network, a peer, a file that is held
    INTERNAL = "internal"  # our fault


class AditusError(Exception):
    """A failure with its reader in mind.

    `reason` is a stable token (`[a-z0-9-]+`), `message` says what happened and why, `remedy` what to
    do, `field` which input was wrong. None of them ever contains a secret or echoes untrusted input.
    """

    def __init__(
        self,
        code: Code,
        reason: str,
        message: str,
        *,
        remedy: str = "",
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.remedy = remedy
        self.field = field

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


def invalid(reason: str, message: str, *, remedy: str = "", field: str = "") -> AditusError:
    """Shorthand for the commonest failure: an input that cannot be right."""
    return AditusError(Code.INVALID, reason, message, remedy=remedy, field=field)
