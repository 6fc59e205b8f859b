"""Apps: which cloud programs there are, and which access key each may use. `app` has the page of each."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console.pages.app import back, one_app, sidecars
from aditus.control.console.visit import Door, Visit
from aditus.domain.errors import AditusError, invalid
from aditus.domain.model import AccessKey, App
from aditus.domain.policy import Operation
from aditus.store.keys import Sort, Wanted

PAGE = 100  # apps
OFFERED = 500  # access keys of a region to choose from


def routes(door: Door) -> list[Route]:
    """The list, and what is done to an app."""
    return [
        door.page("/apps", listed),
        door.form("/apps/create", Operation.APPS_CREATE, create, created),
        door.form("/apps/{app_id}/rename", Operation.APPS_UPDATE, rename, renamed),
        door.form("/apps/{app_id}/associate", Operation.APPS_ASSOCIATE, associate, associated),
        door.form("/apps/{app_id}/dissociate", Operation.APPS_DISSOCIATE, dissociate, dissociated),
        door.form("/apps/{app_id}/delete", Operation.APPS_DELETE, delete, deleted),
    ]


def listed(visit: Visit) -> Response:
    """Every app with its association, and what it could reach now."""
    page = visit.services.apps.list(visit.caller, visit.locator, cursor=visit.query["cursor"], limit=PAGE)
    ports: dict[str, set[int]] = {}
    for tunnel in visit.services.tunnels.list(visit.caller, visit.locator):
        ports.setdefault(tunnel.key_id, set()).update(port.port for port in tunnel.ports if port.reachable)
    reach = {app.app_id: sorted(ports.get(app.key_id, ())) for app in page.items if app.key_id}
    return visit.show("apps.html", apps=page.items, next_cursor=page.next_cursor, reach=reach)


def create(visit: Visit, error: AditusError | None) -> Response:
    """Name and capability."""
    return visit.show("create_app.html", error=error)


def created(visit: Visit) -> Response:
    """On to the app."""
    app = visit.services.apps.create(
        visit.caller, visit.locator, visit.form["name"], visit.form["capability"]
    )
    return back(visit, app, "app-created")


def rename(visit: Visit, error: AditusError | None) -> Response:
    """The name as it is."""
    return visit.show("rename_app.html", error=error, app=one_app(visit))


def renamed(visit: Visit) -> Response:
    """Back to the app."""
    app = one_app(visit)
    visit.services.apps.patch(visit.caller, visit.locator, app.app_id, {"name": visit.form["name"]})
    return back(visit, app, "app-renamed")


def associate(visit: Visit, error: AditusError | None) -> Response:
    """The access keys to choose from: those of the app's capability, in every region."""
    app = one_app(visit)
    return visit.show(
        "associate_app.html", error=error, app=app, keys=_keys(visit, app), streams=_streams(visit, app)
    )


def associated(visit: Visit) -> Response:
    """Back to the app."""
    app = one_app(visit)
    chosen = next((key for key in _keys(visit, app) if key.key_id == visit.form["key_id"]), None)
    if chosen is None:
        raise invalid(
            "no-key-chosen",
            "No access key is chosen, or it cannot be used any more.",
            remedy="Choose one of the list.",
            field="key_id",
        )
    done = visit.services.apps.associate(
        visit.caller, visit.locator, app.app_id, chosen.access_key_id, region=chosen.region
    )
    return back(visit, app, "app-associated", done.pending_relays)


def dissociate(visit: Visit, error: AditusError | None) -> Response:
    """What the app loses."""
    app = one_app(visit)
    return visit.show("dissociate_app.html", error=error, app=app, streams=_streams(visit, app))


def dissociated(visit: Visit) -> Response:
    """Back to the app."""
    app = one_app(visit)
    done = visit.services.apps.dissociate(visit.caller, visit.locator, app.app_id)
    return back(visit, app, "app-dissociated", done.pending_relays)


def delete(visit: Visit, error: AditusError | None) -> Response:
    """The question, with what it ends."""
    app = one_app(visit)
    return visit.show("delete_app.html", error=error, app=app, attached=len(sidecars(visit, app)))


def deleted(visit: Visit) -> Response:
    """Back to the list."""
    visit.services.apps.delete(visit.caller, visit.locator, one_app(visit).app_id)
    return visit.go("apps", notice="app-deleted")


def _streams(visit: Visit, app: App) -> int:
    """The live connections that an app loses with its access key."""
    return sum(one.streams for one in sidecars(visit, app))


def _keys(visit: Visit, app: App) -> list[AccessKey]:
    found: list[AccessKey] = []
    wanted = Wanted(capability=app.capability, sort=Sort.NAME, descending=False)
    for one in visit.regions:
        _, keys = visit.services.keys.search(
            visit.caller, visit.locator, one.region, wanted, offset=0, limit=OFFERED
        )
        found += keys
    return found
