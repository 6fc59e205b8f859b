"""Overview: how many of what, and what somebody should look at."""

import time
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import words
from aditus.control.console.visit import Door, Visit
from aditus.domain.model import App, KeyState
from aditus.store.keys import Sort, Wanted

DAY_SECONDS = 86_400.0
RECENT = 8  # entries of the audit
LOOKED_AT = 100  # keys, those that expire first; and apps, the oldest
NEARLY_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to look at, and where."""

    text: str
    path: str


def routes(door: Door) -> list[Route]:
    """The one page."""
    return [door.page("", shown)]


def shown(visit: Visit) -> Response:
    """The figures of this subscription and region."""
    caller, locator, services = visit.caller, visit.locator, visit.services
    tunnels = visit.tunnels()
    now = time.time()
    return visit.show(
        "overview.html",
        tunnels=len(tunnels),
        agents=len({one.instance for one in tunnels}),
        streams=sum(one.streams for one in tunnels),
        traffic=services.tunnels.traffic(caller, locator, visit.region, now - now % DAY_SECONDS),
        events=services.events.list(caller, locator, limit=RECENT).items,
        warnings=_warnings(visit),
    )


def _warnings(visit: Visit) -> list[Warned]:
    warnings = []
    quota = visit.in_region
    if quota.used >= quota.limit * NEARLY_FULL:
        warnings.append(
            Warned(
                f"{quota.used:,} of {quota.limit:,} access keys are used in {visit.region}.",
                visit.path("access-keys"),
            )
        )
    wanted = Wanted(sort=Sort.EXPIRES, descending=False)
    _, keys = visit.services.keys.search(
        visit.caller, visit.locator, visit.region, wanted, offset=0, limit=LOOKED_AT
    )
    for key in keys:
        path = visit.path("access-keys", key.key_id)
        if key.expiry_warning and key.state is not KeyState.EXPIRED:
            when = words.relative(key.expires_at or 0.0, time.time())
            warnings.append(Warned(f"Access key {key.access_key_id} expires {when}.", path))
        elif key.state is KeyState.EXPIRED:
            warnings.append(Warned(f"Access key {key.access_key_id} has expired.", path))
        if key.rotation and key.rotation.old_instances:
            warnings.append(Warned(f"Agents still use the old secret of {key.access_key_id}.", path))
    apps: tuple[App, ...] = visit.services.apps.list(visit.caller, visit.locator, limit=LOOKED_AT).items
    for app in apps:
        if app.key_state is KeyState.REVOKED:
            text = f"App {app.name} is still associated with the revoked access key {app.access_key_id}."
            warnings.append(Warned(text, visit.path("apps")))
    return warnings
