"""Apps and their associations: which cloud program may use the tunnels of which key."""

from typing import TypedDict

from aditus.control import audit
from aditus.control.service import inputs, versions
from aditus.control.service.context import Context, permitted, unfound
from aditus.control.service.refusals import refusal
from aditus.control.service.replay import claim
from aditus.crypto.keys import random_id
from aditus.domain import names
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import (
    AccessKey,
    App,
    AppStatus,
    AssociateResult,
    Caller,
    KeyState,
    Page,
    Subscription,
)
from aditus.domain.policy import Denied, Operation, may_associate
from aditus.store import app_credentials, apps, keys
from aditus.store.database import Transaction


class AppPatch(TypedDict, total=False):
    """What may be changed of an app; what is absent stays."""

    name: str


class Apps:
    """The use cases of apps. `app` is an app_id or a name, `locator` `0` the caller's own subscription."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self, caller: Caller, locator: str, name: str, capability: str, *, idempotency_key: str = ""
    ) -> App:
        """Make an app. Raises: conflict `app-exists` and `idempotent-replay`, forbidden `no-capability`."""
        now = self._context.now()
        name, capability = names.app_name(name), names.capability_name(capability)
        with self._context.database.write() as tx:
            subscription = permitted(tx, caller, Operation.APPS_CREATE, locator)
            if capability not in subscription.capabilities:
                raise refusal(Denied("no-capability"))
            app = App(random_id(), name, subscription.subscription_id, capability, now)
            claim(tx, caller, idempotency_key, "app_id", app.app_id, now)
            if not apps.add(tx, app):
                raise _exists()
            record(tx, caller, "app.create", app, subscription, now, capability=capability)
        return app

    def list(
        self, caller: Caller, locator: str, *, cursor: str = "", limit: int = inputs.DEFAULT_PAGE
    ) -> Page[App]:
        """A page of apps, oldest first; `limit` 1 to 500."""
        limit, after = inputs.page_size(limit), inputs.position(cursor)
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.APPS_LIST, locator)
            found = apps.page(
                tx, subscription.subscription_id, self._context.now(), after=after, limit=limit + 1
            )
        items = found[:limit]
        more = len(found) > limit
        return Page(items, inputs.cursor(items[-1].created_at, items[-1].app_id) if more else "")

    def show(self, caller: Caller, locator: str, app: str) -> App:
        """One app, with its association."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.APPS_LIST, locator)
            return find_app(tx, subscription, app, self._context.now())

    def status(self, caller: Caller, locator: str, app: str) -> AppStatus:
        """One app, the app ports that its sidecars can reach now, and how many of these are attached."""
        shown = self.show(caller, locator, app)
        tunnels = [
            tunnel
            for tunnel in self._context.relays.tunnels(shown.subscription_id)
            if tunnel.key_id == shown.key_id
        ]
        ports = {port.port for tunnel in tunnels for port in tunnel.ports if port.reachable}
        attached = self._context.relays.sidecars(shown.subscription_id)
        sidecars = sum(sidecar.app_id == shown.app_id for sidecar in attached)
        return AppStatus(shown, len(tunnels), tuple(sorted(ports)), sidecars)

    def patch(self, caller: Caller, locator: str, app: str, patch: AppPatch, *, if_match: str = "") -> App:
        """Change an app. Raises conflict `app-exists`, `changed-meanwhile` (see `versions.check`)."""
        now = self._context.now()
        name = names.app_name(patch["name"]) if "name" in patch else ""
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_UPDATE, locator)
            before = find_app(tx, subscription, app, now, lock=True)
            versions.check(if_match, versions.app_version(before))
            if name and name != before.name:
                if not apps.rename(tx, before.app_id, name):
                    raise _exists()
                change.app_changed(before.app_id, before.subscription_id)
                record(tx, caller, "app.update", before, subscription, now, name=name)
            return find_app(tx, subscription, before.app_id, now)

    def delete(self, caller: Caller, locator: str, app: str) -> None:
        """Forget an app and its association, and revoke its credentials; the key stays as it is."""
        now = self._context.now()
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_DELETE, locator)
            found = find_app(tx, subscription, app, now, lock=True)
            change.app_changed(found.app_id, found.subscription_id)
            dying = app_credentials.unrevoked(tx, found.app_id)
            app_credentials.revoke(tx, dying, now, caller.name)
            apps.remove(tx, found.app_id)
            for credential_id in dying:
                record(
                    tx,
                    caller,
                    "app.credential.revoke",
                    found,
                    subscription,
                    now,
                    credential_id=credential_id,
                )
            record(tx, caller, "app.delete", found, subscription, now, key_id=found.key_id)

    def associate(
        self, caller: Caller, locator: str, app: str, access_key_id: str, *, region: str = ""
    ) -> AssociateResult:
        """Give an app its one key, in place of the one it had. `region` is needed when several have this key.

        Its streams through another key are cut. Again is no harm, and told to the relays once more. Raises:
        conflict `revoked`, `capability-mismatch` and `ambiguous-key`.
        """
        now = self._context.now()
        access_key_id = names.access_key_id(access_key_id)
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_ASSOCIATE, locator, region)
            before = find_app(tx, subscription, app, now, lock=True)
            key = _key(tx, subscription, access_key_id, region, now)
            verdict = may_associate(before, key)
            if isinstance(verdict, Denied):
                raise refusal(verdict)
            if before.key_id != key.key_id:
                change.app_changed(before.app_id, before.subscription_id)
                apps.associate(tx, before.app_id, key.key_id, now)
                record(
                    tx,
                    caller,
                    "app.associate",
                    before,
                    subscription,
                    now,
                    key_id=key.key_id,
                    access_key_id=key.access_key_id,
                    key_id_before=before.key_id,
                )
            else:
                change.tell_app(before.app_id, before.subscription_id)
            changed = find_app(tx, subscription, before.app_id, now)
        return AssociateResult(changed, change.pending_relays)

    def dissociate(self, caller: Caller, locator: str, app: str) -> AssociateResult:
        """Take an app's key away, dead or alive, and cut its streams. Again is no harm, told once more."""
        now = self._context.now()
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_DISSOCIATE, locator)
            before = find_app(tx, subscription, app, now, lock=True)
            if before.key_id:
                change.app_changed(before.app_id, before.subscription_id)
                apps.dissociate(tx, before.app_id)
                record(
                    tx,
                    caller,
                    "app.dissociate",
                    before,
                    subscription,
                    now,
                    key_id=before.key_id,
                    access_key_id=before.access_key_id,
                )
            else:
                change.tell_app(before.app_id, before.subscription_id)
            changed = find_app(tx, subscription, before.app_id, now)
        return AssociateResult(changed, change.pending_relays)


def find_app(tx: Transaction, subscription: Subscription, app: str, now: float, *, lock: bool = False) -> App:
    """The app with this app_id, else of this name; `lock`: until the commit. Raises not-found."""
    found = apps.find(tx, subscription.subscription_id, names.app_name(app), now, lock=lock)
    if found is None:
        raise unfound("app", "`aditus apps list` shows those that there are.")
    return found


def _exists() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "app-exists",
        "There is an app of this name in this subscription.",
        remedy="Choose another name, or use that app.",
        field="name",
    )


def _key(
    tx: Transaction, subscription: Subscription, access_key_id: str, region: str, now: float
) -> AccessKey:
    """The key meant by its name alone: an unrevoked one goes before revoked ones of other regions."""
    found = keys.find_in_any_region(tx, subscription.subscription_id, access_key_id, now)
    meant = [key for key in found if not region or key.region == region]
    alive = [key for key in meant if key.state is not KeyState.REVOKED]
    if len(alive) > 1:
        raise AditusError(
            Code.CONFLICT,
            "ambiguous-key",
            "Several regions have an access key of this ID.",
            remedy="Say which one is meant: add the region.",
            field="region",
        )
    if not meant:
        raise unfound("access key", "`aditus keys list` shows those that there are in a region.")
    return next(iter([*alive, *meant]))


def record(
    tx: Transaction,
    caller: Caller,
    action: str,
    app: App,
    subscription: Subscription,
    now: float,
    **details: str,
) -> None:
    """Append to the audit what was done to an app."""
    audit.record(tx, caller, action, app.app_id, app.name, now, subscription=subscription, details=details)
