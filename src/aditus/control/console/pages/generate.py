"""Generate access, and rotate: the two ways to a secret access key, which is shown once."""

import time

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.pages.key import one_key
from aditus.control.console.visit import Door, Visit
from aditus.domain.errors import AditusError, invalid
from aditus.domain.model import NewAccessKey
from aditus.domain.names import MAX_NAME
from aditus.domain.policy import Operation

EXPIRES = {
    "never": "Never",
    "7": "In 7 days",
    "30": "In 30 days",
    "90": "In 90 days",
    "365": "In a year",
    "day": "On a day …",
}
GRACES = {
    "3600": "1 hour after the first use of the new one",
    "86400": "1 day after the first use of the new one",
    "604800": "7 days after the first use of the new one",
    "2592000": "30 days after the first use of the new one",
    "now": "Now, which cuts the agents that use it",
}
DAY_SECONDS = 86_400.0


def routes(door: Door) -> list[Route]:
    """The two forms; both end in the secret."""
    return [
        door.form("/access-keys/generate", Operation.KEYS_GENERATE, generate, generated),
        door.form("/access-keys/{key_id}/rotate", Operation.KEYS_ROTATE, rotate, rotated),
    ]


def generate(visit: Visit, error: AditusError | None) -> Response:
    """The dialog **Generate access**."""
    return visit.show("generate.html", error=error, expires=EXPIRES, most=MAX_NAME)


def generated(visit: Visit) -> Response:
    """The new key with its secret, this once."""
    form = visit.form
    new = visit.services.keys.generate(
        visit.caller,
        visit.locator,
        visit.region,
        form["access_key_id"],
        forms.choice(form, "capability", dict.fromkeys(visit.in_region.capabilities)),
        description=form["description"],
        expires_at=_expires_at(visit),
        allowed_ports=forms.ports(form["allowed_ports"], "allowed_ports"),
        allowed_sources=forms.networks(form["allowed_sources"]),
        idempotency_key=form["once"],
    )
    return _secret(visit, new)


def rotate(visit: Visit, error: AditusError | None) -> Response:
    """The question how long the old secret lives on."""
    return visit.show("rotate.html", error=error, key=one_key(visit), graces=GRACES)


def rotated(visit: Visit) -> Response:
    """The second secret of a key, this once."""
    key = one_key(visit)
    grace = forms.choice(visit.form, "grace", GRACES)
    new = visit.services.rotation.rotate(
        visit.caller,
        visit.locator,
        visit.region,
        key.access_key_id,
        grace=None if grace == "now" else float(grace),
        at_once=grace == "now",
        idempotency_key=visit.form["once"],
        key_id=key.key_id,
    )
    return _secret(visit, new, rotation="now" if grace == "now" else "grace")


def _secret(visit: Visit, new: NewAccessKey, *, rotation: str = "") -> Response:
    if new.secret is None:
        raise RuntimeError("the console gives no public key")
    return visit.show("secret.html", key=new.key, secret=new.secret.reveal(), rotation=rotation)


def _expires_at(visit: Visit) -> float | None:
    chosen = forms.choice(visit.form, "expires", EXPIRES)
    if chosen == "day":
        if not visit.form["expires_at"].strip():
            raise invalid("no-day", "No day is given.", remedy="Choose the last day.", field="expires_at")
        return forms.last_day(visit.form["expires_at"], "expires_at")
    return None if chosen == "never" else time.time() + int(chosen) * DAY_SECONDS
