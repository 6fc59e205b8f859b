"""The first start: what `aditus serve` makes in an empty database."""

from collections.abc import Callable
from dataclasses import dataclass

from aditus.domain.keytext import SecretText
from aditus.store.database import Database

OWNER = "owner@localhost"


@dataclass(frozen=True, slots=True)
class FirstStart:
    """The secrets of a first start, to be handed over once: print `password`, write `token` to owner.token."""

    owner: str
    password: SecretText
    token: SecretText


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What `ensure` found or made. `first` is None from the second start on."""

    region: str
    relay_url: str
    relay_url_changed: bool
    first: FirstStart | None


def ensure(
    database: Database,
    region: str,
    relay_url: str,
    now: float,
    hand_over: Callable[[FirstStart], None],
) -> Bootstrap:
    """Make what a first start needs, or find it as it was.

    `hand_over` is called before the commit, so that a crash in between leaves an empty database and not
    an owner whose token nobody has: write owner.token (durably) and print the password there.
    Raises `AditusError` `other-region` when the database belongs to regions that this one is not among.
    """
    raise NotImplementedError
