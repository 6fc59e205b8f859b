"""Settings ▸ Proxy Agent access keys: the table, and what is done to the keys that are ticked there."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from starlette.responses import Response
from starlette.routing import Route

from aditus.control.console import forms
from aditus.control.console.visit import Door, Visit
from aditus.control.service.context import unfound
from aditus.domain.errors import AditusError, invalid
from aditus.domain.model import AccessKey, KeyState, RevokeResult
from aditus.domain.policy import Operation
from aditus.store.keys import Sort, Wanted

PAGE = 50  # keys
COLUMNS = (
    (Sort.NAME, "Access key ID"),
    (Sort.CAPABILITY, "Capability"),
    (None, "Region"),
    (Sort.STATE, "State"),
    (Sort.CREATED, "Created"),
    (Sort.USED, "Last used"),
    (Sort.EXPIRES, "Expires"),
    (None, "Apps"),
    (None, "Live tunnels"),
)
FILTERS = ("active", "suspended", "expired", "revoked")


@dataclass(frozen=True, slots=True)
class Blast:
    """What a revoke of one key would hit."""

    key: AccessKey
    agents: int
    streams: int


def routes(door: Door) -> list[Route]:
    """The table, and the revoke of one key or many."""
    return [
        door.page("/access-keys", listed),
        door.form("/access-keys/revoke", Operation.KEYS_REVOKE, confirm_revoke, revoked),
    ]


def listed(visit: Visit) -> Response:
    """The table: filtered, sorted, and in pages."""
    wanted, number = _wanted(visit), _page_number(visit)
    search = partial(visit.services.keys.search, visit.caller, visit.locator, visit.region, limit=PAGE)
    total, keys = search(wanted, offset=(number - 1) * PAGE)
    if total and not keys:  # what was on this page is gone
        number = -(-total // PAGE)
        total, keys = search(wanted, offset=(number - 1) * PAGE)
    filtered = bool(wanted.text or wanted.state or wanted.capability)
    any_revoked = False
    if not keys and not filtered:
        any_revoked = search(Wanted(state=KeyState.REVOKED), offset=0)[0] > 0
    return visit.show(
        "keys.html",
        keys=keys,
        total=total,
        first=(number - 1) * PAGE + 1,
        page=number,
        pages=-(-total // PAGE),
        wanted=wanted,
        columns=COLUMNS,
        filters=FILTERS,
        filtered=filtered,
        any_revoked=any_revoked,
        tunnels=live_tunnels(visit),
        at=partial(_at, visit, wanted),
    )


def live_tunnels(visit: Visit) -> Counter[str]:
    """How many tunnels each key has now, by key_id."""
    return Counter(one.key_id for one in visit.tunnels())


def confirm_revoke(visit: Visit, error: AditusError | None) -> Response:
    """What a revoke would hit, before it is confirmed."""
    keys = _ticked(visit)
    alive = [key for key in keys if key.state is not KeyState.REVOKED]
    blasts = []
    if alive:
        names = [key.access_key_id for key in alive]
        would = visit.services.keys.revoke(visit.caller, visit.locator, visit.region, names, dry_run=True)
        tunnels = visit.tunnels()
        for key, result in zip(alive, would, strict=True):
            agents = len({one.instance for one in tunnels if one.key_id == key.key_id})
            blasts.append(Blast(key, agents, result.cut.streams if result.cut else 0))
    return visit.show(
        "revoke.html",
        error=error,
        blasts=blasts,
        dead=len(keys) - len(alive),
        apps=sorted({name for blast in blasts for name in blast.key.apps}),
        phrase=_phrase(len(blasts)),
    )


def revoked(visit: Visit) -> Response:
    """The receipt: what was cut, and after how many milliseconds. Without a confirmation, the question."""
    if visit.form["step"] != "confirmed":
        return confirm_revoke(visit, None)
    keys = [key for key in _ticked(visit) if key.state is not KeyState.REVOKED]
    if len(keys) > 1 and " ".join(visit.form["typed"].lower().split()) != _phrase(len(keys)):
        raise invalid(
            "not-confirmed",
            "This is not what confirms the revoke, so nothing was revoked.",
            remedy=f"Type: {_phrase(len(keys))}",
            field="typed",
        )
    results: tuple[RevokeResult, ...] = ()
    if keys:
        names = [key.access_key_id for key in keys]
        key_ids = {key.key_id for key in keys}
        results = visit.services.keys.revoke(visit.caller, visit.locator, visit.region, names, only=key_ids)
    return visit.show("receipt.html", results=results)


def _at(visit: Visit, wanted: Wanted, *, sort: str = "", page: int = 0) -> str:
    """The address of this table, sorted otherwise or at another page."""
    return visit.path(
        "access-keys",
        q=wanted.text,
        state=wanted.state.value if wanted.state else "",
        capability=wanted.capability,
        sort=sort or ("-" if wanted.descending else "") + wanted.sort.value,
        page=page,
    )


def _page_number(visit: Visit) -> int:
    text = visit.query["page"]
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 7 else 1


def _ticked(visit: Visit) -> tuple[AccessKey, ...]:
    asked = visit.form.every("key_id") or visit.query.every("key_id")
    if not asked:
        raise invalid("none-ticked", "No access key is ticked.", remedy="Tick those that you mean.")
    found = visit.services.keys.by_key_ids(visit.caller, visit.locator, visit.region, asked)
    if not found:
        raise unfound("access key", "Look at the list of access keys of this region.")
    return found


def _phrase(keys: int) -> str:
    return f"revoke {keys}"


def _wanted(visit: Visit) -> Wanted:
    query = visit.query
    states = {name: KeyState(name) for name in FILTERS}
    by = query["sort"].removeprefix("-")
    return Wanted(
        text=query["q"].strip()[: forms.MAX_SEARCH],
        state=states.get(query["state"]),
        capability=query["capability"],
        sort=Sort(by) if by in set(Sort) else Sort.CREATED,
        descending=query["sort"].startswith("-") if by in set(Sort) else True,
    )
