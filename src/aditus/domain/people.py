"""People and how they come in, as frozen values. `NewInvitation` exists for one answer only."""

import re
import unicodedata
from dataclasses import dataclass

from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText
from aditus.domain.model import Role

MAX_EMAIL = 254  # characters (RFC 5321)
MIN_PASSWORD = 12
MAX_PASSWORD = 1024

_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]+")
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person's sign-in on one browser. It ends by itself, idle or not."""

    session_id: str
    created_at: float
    seen_at: float  # exact to a minute
    source: str  # the address that signed in
    user_agent: str
    current: bool = False  # it is the one that asks


@dataclass(frozen=True, slots=True)
class Member:
    """A person of an organisation. `team_admin_of`: locators."""

    user_id: str
    email: str
    role: Role
    created_at: float
    team_admin_of: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that nobody has accepted so far."""

    invitation_id: str
    email: str
    role: Role
    created_at: float
    created_by: str
    expires_at: float
    locator: str = ""  # of a team administrator's subscription


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation just made, with the text that whoever invites passes on."""

    invitation: Invitation
    secret: SecretText


def email(text: str) -> str:
    """An email address as it is stored and compared: NFC, lower case. Raises `AditusError`."""
    if len(text) <= 2 * MAX_EMAIL:
        text = unicodedata.normalize("NFC", text).strip().lower()
        if (
            len(text) <= MAX_EMAIL
            and _EMAIL.fullmatch(text)
            and not any(unicodedata.category(char) in _UNPRINTABLE for char in text)
        ):
            return text
    raise invalid(
        "bad-email",
        f"This is no email address of at most {MAX_EMAIL} characters.",
        remedy="Write it as name@example.com.",
        field="email",
    )


def new_password(text: str, field: str) -> None:
    """A password that somebody chooses: long enough, and not too long to hash. Raises `AditusError`."""
    if not MIN_PASSWORD <= len(text) <= MAX_PASSWORD:
        raise invalid(
            "bad-password",
            f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.",
            remedy="Choose a longer one, such as some words that nobody else puts together.",
            field=field,
        )
