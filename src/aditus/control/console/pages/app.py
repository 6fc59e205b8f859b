"""One app: everything about it on a page, and its credentials: created, with a secret shown once; revoked."""

from collections import Counter
from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError
from aditus.domain.model import MAX_CREDENTIALS, App, AppCredential
from aditus.domain.policy import Operation
from aditus.domain.relays import SidecarView
from aditus.store.events import Wanted

RECENT = 20  # entries of the audit
DEAD = 10  # revoked credentials, those that were revoked last
SIDECARS = 250  # of one app


def routes(door: Door) -> list[Route]:
    """The page of an app, and the steps of its credentials."""
    return [
        door.page("/apps/{app_id}", shown),
        door.form("/apps/{app_id}/credentials/create", Operation.APPS_CREDENTIAL, create, created),
        door.form(
            "/apps/{app_id}/credentials/{credential_id}/revoke", Operation.APPS_CREDENTIAL, revoke, revoked
        ),
    ]


def one_app(visit: Visit) -> App:
    """The app that the address names. Raises `AditusError` not-found."""
    return visit.services.apps.show(visit.caller, visit.locator, visit.request.path_params["app_id"])


def sidecars(visit: Visit, app: App) -> tuple[SidecarView, ...]:
    """Those of an app that are attached now, oldest first."""
    return visit.services.credentials.sidecars(visit.caller, visit.locator, app.app_id)


def back(visit: Visit, app: App, notice: str, pending_relays: Sequence[str] = ()) -> Response:
    """To the app, with what there is to tell; `pending_relays` have not said yet that it is done."""
    return visit.go("apps", app.app_id, notice="relays-pending" if pending_relays else notice)


def shown(visit: Visit) -> Response:
    """Association, reach, credentials, sidecars that are attached, and what there was."""
    app = one_app(visit)
    caller, locator, services = visit.caller, visit.locator, visit.services
    attached = sidecars(visit, app)
    return visit.show(
        "app.html",
        app=app,
        reach=services.apps.status(caller, locator, app.app_id),
        credentials=_alive(visit, app) + _dead(visit, app)[:DEAD],
        using=Counter(one.credential_id for one in attached),
        sidecars=attached[:SIDECARS],
        attached=len(attached),
        events=services.events.list(caller, locator, Wanted(object_id=app.app_id), limit=RECENT).items,
    )


def create(visit: Visit, error: AditusError | None) -> Response:
    """What a credential is for; or that both places are taken, and by what."""
    app = one_app(visit)
    taken = _alive(visit, app)
    return visit.show(
        "create_credential.html", error=error, app=app, taken=taken, full=len(taken) >= MAX_CREDENTIALS
    )


def created(visit: Visit) -> Response:
    """The secret of a new credential, this once."""
    app = one_app(visit)
    new = visit.services.credentials.create(
        visit.caller, visit.locator, app.app_id, idempotency_key=visit.form["once"]
    )
    region = app.region or visit.region
    return visit.show(
        "credential.html",
        app=app,
        region=region,
        relay_url=visit.services.subscriptions.relay_url(visit.caller, visit.locator, region),
        secret=new.secret.reveal(),
    )


def revoke(visit: Visit, error: AditusError | None) -> Response:
    """What the revoke would cut: the sidecars that are attached with this credential."""
    app = one_app(visit)
    credential = _credential(visit, app)
    others = [one for one in _alive(visit, app) if one.credential_id != credential.credential_id]
    using = [one for one in sidecars(visit, app) if one.credential_id == credential.credential_id]
    return visit.show(
        "revoke_credential.html", error=error, app=app, credential=credential, others=others, sidecars=using
    )


def revoked(visit: Visit) -> Response:
    """Back to the app."""
    app = one_app(visit)
    credential = _credential(visit, app)
    done = visit.services.credentials.revoke(
        visit.caller, visit.locator, app.app_id, credential.credential_id
    )
    return back(visit, app, "credential-revoked", done.pending_relays)


def _alive(visit: Visit, app: App) -> list[AppCredential]:
    return [one for one in _credentials(visit, app) if one.revoked_at is None]


def _dead(visit: Visit, app: App) -> list[AppCredential]:
    """The last that was revoked comes first."""
    dead = [one for one in _credentials(visit, app) if one.revoked_at is not None]
    return sorted(dead, key=lambda one: one.revoked_at or 0.0, reverse=True)


def _credentials(visit: Visit, app: App) -> tuple[AppCredential, ...]:
    return visit.services.credentials.list(visit.caller, visit.locator, app.app_id)


def _credential(visit: Visit, app: App) -> AppCredential:
    credential_id = visit.request.path_params["credential_id"]
    found = next((one for one in _credentials(visit, app) if one.credential_id == credential_id), None)
    if found is None:
        raise unfound("credential", "Look at the page of the app for those that there are.")
    return found
