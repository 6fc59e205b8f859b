"""How the console says things: times, sizes, states, and what was done, in the words of Aditus."""

import math
import time
from datetime import UTC, datetime

from markupsafe import Markup

from aditus.domain.model import AuditEvent, KeyState, Role

_STEPS = (
    (60.0, 1.0, "second"),
    (3_600.0, 60.0, "minute"),
    (86_400.0, 3_600.0, "hour"),
    (61 * 86_400.0, 86_400.0, "day"),  # then it is 2 months
    (365.25 * 86_400.0, 30.44 * 86_400.0, "month"),
    (math.inf, 365.25 * 86_400.0, "year"),
)
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")

# The first that is found counts: most call themselves what others are called, too.
_BROWSERS = (
    ("Firefox/", "Firefox"),
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)

ROLES = {Role.OWNER: "owner", Role.MEMBER: "member", Role.TEAM_ADMIN: "team admin"}
STATES = {
    KeyState.ACTIVE: "Active",
    KeyState.SUSPENDED: "Suspended",
    KeyState.EXPIRED: "Expired",
    KeyState.REVOKED: "Revoked",
}

ACTIONS = {
    "key.generate": "generated access key",
    "key.update": "changed access key",
    "key.suspend": "suspended access key",
    "key.resume": "resumed access key",
    "key.rotate": "rotated access key",
    "key.rotation-used": "used the new secret of access key",
    "key.revoke": "revoked access key",
    "key.refused": "refused agents of access key",
    "key.expires-soon": "warned of the expiry of access key",
    "key.expire": "ended the expired access key",
    "app.create": "created app",
    "app.update": "renamed app",
    "app.delete": "deleted app",
    "app.associate": "associated app",
    "app.dissociate": "dissociated app",
    "app.credential": "created a credential of app",
    "app.credential.revoke": "revoked a credential of app",
    "tunnel.cut": "cut tunnel",
    "token.create": "created API token",
    "token.revoke": "revoked API token",
    "session.begin": "signed in",
    "session.end": "ended a session",
    "session.refused": "was refused at the sign-in",
    "password.change": "changed the password",
    "member.update": "changed the roles of",
    "member.remove": "removed member",
    "invitation.create": "invited",
    "invitation.delete": "took back the invitation of",
    "invitation.accept": "accepted the invitation",
    "password.reset": "reset the password of",
    "user.add": "added",
    "organization.add": "added organisation",
    "subscription.add": "added subscription",
    "region.add": "added region",
    "capability.add": "added capability",
    "capability.remove": "removed capability",
    "quota.set": "set the quota of",
    "serve.first-start": "started the server for the first time:",
}
"""Other actions are shown by their own names."""

NOTICES = {
    "signed-out": "You are signed out.",
    "password-changed": "Your password is changed, and all your other sessions are ended.",
    "session-ended": "The session is ended.",
    "key-updated": "The access key is changed.",
    "key-resumed": "The access key is active again. Its agents come back within half a minute.",
    "app-created": "The app is created. Now associate it with an access key.",
    "app-renamed": "The app is renamed.",
    "app-deleted": "The app is deleted.",
    "app-associated": "The app is associated.",
    "app-dissociated": "The association is removed.",
    "relays-pending": "Done, but not every relay has said so within a second. They do it as they hear it.",
    "credential-revoked": "The credential is revoked, and no sidecar is attached with it any more.",
    "tunnel-cut": "The tunnel is cut. To keep its agent out, suspend or revoke its access key.",
    "token-revoked": "The API token is revoked.",
    "member-updated": "The member is changed.",
    "member-removed": "The member is removed, with all sessions and API tokens.",
    "invitation-deleted": "The invitation is taken back.",
    "joined": "You are a member now: sign in with your email and the password that you chose.",
}
"""What a page says after something was done; addresses name it by its token alone."""


def exact(at: float) -> str:
    """A time as text for people, to the second, in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(at: float) -> str:
    """A time as programs read it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(at: float | None) -> str:
    """The last day before a time, as a date field has it; the empty text for never."""
    return "" if at is None else datetime.fromtimestamp(at - 1, UTC).strftime("%Y-%m-%d")


def relative(at: float, now: float) -> str:
    """`3 minutes ago`, `in 2 days`, `just now`."""
    ago = now - at
    size = abs(ago)
    if size < 5:
        return "just now"
    unit, name = next((unit, name) for below, unit, name in _STEPS if size < below)
    text = count(int(size / unit), name)
    return f"{text} ago" if ago > 0 else f"in {text}"


def when(at: float | None, never: str = "never") -> Markup:
    """A time as an element: relative, exact on hover; scripts keep it fresh."""
    if at is None:
        return Markup('<span class="quiet">{}</span>').format(never)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        iso(at), exact(at), relative(at, time.time())
    )


def size(count: float) -> str:
    """Bytes in decimal units: `1.2 MB`."""
    value, unit = float(count), _UNITS[0]
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000.0
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"


def count(number: int, noun: str, nouns: str = "") -> str:
    """`1 app`, `2 apps`, `1,024 apps`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def did(event: AuditEvent) -> str:
    """What somebody did, as a verb; the object's name comes after it."""
    return ACTIONS.get(event.action, event.action)


def browser(user_agent: str) -> str:
    """What a browser calls itself, as far as anybody wants to know: `Firefox on Linux`."""
    program = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    return f"{program} on {system}" if program and system else program or user_agent or "unknown"
