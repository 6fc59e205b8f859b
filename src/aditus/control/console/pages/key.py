"""One access key: everything about it on a page, and its forms: edit, suspend, resume."""

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms, words
from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.control.service.keys import KeyPatch
from aditus.control.service.versions import CHANGED_MEANWHILE, key_version
from aditus.domain.errors import AditusError
from aditus.domain.model import AccessKey
from aditus.domain.policy import Operation
from aditus.store.events import Wanted as WantedEvents
from aditus.store.stream_records import Wanted as WantedStreams

RECENT = 20  # streams, and entries of the audit


def routes(door: Door) -> list[Route]:
    """The page of a key and its forms."""
    return [
        door.page("/access-keys/{key_id}", shown),
        door.form("/access-keys/{key_id}/edit", Operation.KEYS_UPDATE, edit, edited),
        door.form("/access-keys/{key_id}/suspend", Operation.KEYS_SUSPEND, suspend, suspended),
        door.form("/access-keys/{key_id}/resume", Operation.KEYS_RESUME, resume, resumed),
    ]


def one_key(visit: Visit) -> AccessKey:
    """The key that the address names. Raises `AditusError` not-found."""
    key_id = visit.request.path_params["key_id"]
    found = visit.services.keys.by_key_ids(visit.caller, visit.locator, visit.region, [key_id])
    if not found:
        raise unfound("access key", "Look for it in the list of access keys of this region.")
    return found[0]


def shown(visit: Visit) -> Response:
    """State, Connect URL, rules, apps, what is live, and what there was."""
    key = one_key(visit)
    caller, locator, services = visit.caller, visit.locator, visit.services
    recent = services.tunnels.stream_records(caller, locator, WantedStreams(key_id=key.key_id), limit=RECENT)
    trail = services.events.list(caller, locator, WantedEvents(object_id=key.key_id), limit=RECENT)
    tunnels = [one for one in visit.tunnels() if one.key_id == key.key_id]
    return visit.show("key.html", key=key, tunnels=tunnels, streams=recent.items, events=trail.items)


def edit(visit: Visit, error: AditusError | None) -> Response:
    """Description, expiry and rules as they are; what the form changed so far stays changed."""
    key, form = one_key(visit), visit.form
    stored = _fields(key)
    filled = {
        name: form[name] if error and form[name] != form[f"was_{name}"] else value
        for name, value in stored.items()
    }
    if error is not None and error.reason == CHANGED_MEANWHILE:
        error = AditusError(
            error.code,
            error.reason,
            "Somebody else changed this access key meanwhile, and nothing of yours is stored yet.",
            remedy="What is shown has their changes, and yours where you made some. Look, then save again.",
        )
    return visit.show(
        "edit_key.html", error=error, key=key, filled=filled, stored=stored, version=key_version(key)
    )


def edited(visit: Visit) -> Response:
    """What the form changed is so now, unless somebody changed the key meanwhile."""
    key, form = one_key(visit), visit.form
    changed = {name for name in _fields(key) if form[name] != form[f"was_{name}"]}
    patch = KeyPatch()
    if "description" in changed:
        patch["description"] = form["description"]
    if "expires_at" in changed:
        patch["expires_at"] = forms.last_day(form["expires_at"], "expires_at")
    if "allowed_ports" in changed:
        patch["allowed_ports"] = forms.ports(form["allowed_ports"], "allowed_ports")
    if "allowed_sources" in changed:
        patch["allowed_sources"] = forms.networks(form["allowed_sources"])
    visit.services.keys.patch(
        visit.caller, visit.locator, visit.region, key.access_key_id, patch, if_match=form["version"]
    )
    return visit.go("access-keys", key.key_id, notice="key-updated")


def _fields(key: AccessKey) -> dict[str, str]:
    """What can be edited, as its fields have it."""
    return {
        "description": key.description,
        "expires_at": words.day(key.expires_at),
        "allowed_ports": ", ".join(map(str, key.allowed_ports or ())),
        "allowed_sources": ", ".join(key.allowed_sources or ()),
    }


def suspend(visit: Visit, error: AditusError | None) -> Response:
    """What a suspend would cut."""
    key = one_key(visit)
    tunnels = [one for one in visit.tunnels() if one.key_id == key.key_id]
    return visit.show("suspend.html", error=error, key=key, tunnels=tunnels, result=None)


def suspended(visit: Visit) -> Response:
    """The receipt of a suspend."""
    key = one_key(visit)
    result = visit.services.keys.suspend(
        visit.caller, visit.locator, visit.region, key.access_key_id, key_id=key.key_id
    )
    return visit.show("suspend.html", key=result.key, result=result, tunnels=[])


def resume(visit: Visit, error: AditusError | None) -> Response:
    """The question."""
    return visit.show("resume.html", error=error, key=one_key(visit))


def resumed(visit: Visit) -> Response:
    """Back to the key, which is active again."""
    key = one_key(visit)
    visit.services.keys.resume(
        visit.caller, visit.locator, visit.region, key.access_key_id, key_id=key.key_id
    )
    return visit.go("access-keys", key.key_id, notice="key-resumed")
