"""The first start: what `aditus serve` makes in an empty database."""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass

from aditus.crypto.keys import random_id
from aditus.crypto.passwords import hash_password
from aditus.crypto.tokens import token_hash
from aditus.domain import names
from aditus.domain.connect_url import parse_relay_url
from aditus.domain.errors import invalid
from aditus.domain.keytext import SECRET_BYTES, SecretText, format_token
from aditus.domain.model import DEFAULT_KEY_QUOTA, AuditEvent, Region, Role, Subscription
from aditus.store import events, people, regions, subscriptions
from aditus.store.database import Database, Transaction

OWNER = "owner@localhost"
ORGANIZATION = "default"
SUBSCRIPTION = "default"
CAPABILITY = "integration"
TOKEN_NAME = "owner.token"
PASSWORD_LETTERS = string.ascii_letters + string.digits
PASSWORD_LENGTH = 20  # 119 bits


@dataclass(frozen=True, slots=True)
class FirstStart:
    """The secrets of a first start, handed over once: print `password`, write `token` to owner.token."""

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
    """Make what a first start needs, or find it as it was; only a changed `relay_url` is stored anew.

    `hand_over` is called before the commit, so that a crash in between leaves an empty database and not
    an owner whose token nobody has: write owner.token (durably) and print the password there.
    Raises `AditusError` `other-region` when the database has regions and this one is not among them.
    """
    region = names.region_name(region)
    relay_url = str(parse_relay_url(relay_url))
    with database.exclusive() as tx:
        known = {one.name: one for one in regions.every(tx)}
        if not known:
            first = _first_start(tx, Region(region, relay_url), now)
            hand_over(first)
            return Bootstrap(region, relay_url, relay_url_changed=False, first=first)
        if region not in known:
            raise invalid(
                "other-region",
                f"The data belongs to the region {', '.join(sorted(known))}, and not to the one named.",
                remedy=f"Start with --region {min(known)}, or with another --data folder.",
                field="region",
            )
        changed = known[region].relay_url != relay_url
        if changed:
            regions.set_relay_url(tx, Region(region, relay_url))
        return Bootstrap(region, relay_url, relay_url_changed=changed, first=None)


def random_password() -> SecretText:
    """A password for somebody who did not choose one: letters and digits, 119 bits."""
    return SecretText("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(PASSWORD_LENGTH)))


def _first_start(tx: Transaction, region: Region, now: float) -> FirstStart:
    organization_id, user_id, token_id = random_id(), random_id(), random_id()
    password = random_password()
    secret = secrets.token_bytes(SECRET_BYTES)
    subscription = Subscription(
        random_id(), organization_id, random_id(), SUBSCRIPTION, (CAPABILITY,), (region.name,)
    )
    subscriptions.add_organization(tx, organization_id, ORGANIZATION, now)
    regions.add(tx, region, now)
    subscriptions.add(tx, subscription, DEFAULT_KEY_QUOTA, now)
    people.add_user(tx, user_id, organization_id, OWNER, hash_password(password.reveal()), Role.OWNER, now)
    people.add_token(tx, token_id, user_id, TOKEN_NAME, token_hash(secret), Role.OWNER, None, None, now)
    made = AuditEvent(0, now, user_id, OWNER, "serve.first-start", organization_id, ORGANIZATION, region.name)
    events.add(tx, organization_id, None, made)
    return FirstStart(OWNER, password, format_token(token_id, secret))
