"""Credentials of apps: what their sidecars prove at a relay. Two at a time, so that one can be replaced."""

from aditus.control.service import inputs
from aditus.control.service.apps import find_app, record
from aditus.control.service.context import Context, permitted, unfound
from aditus.control.service.replay import claim
from aditus.crypto.keys import generate_pair, random_id
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import format_app_secret
from aditus.domain.model import (
    MAX_CREDENTIALS,
    App,
    AppCredential,
    Caller,
    NewAppCredential,
    RevokeCredentialResult,
)
from aditus.domain.policy import Operation
from aditus.domain.relays import SidecarView
from aditus.store import app_credentials
from aditus.store.database import Transaction


class Credentials:
    """The use cases of app credentials. `app` is an app_id or a name, `locator` `0` the caller's own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self, caller: Caller, locator: str, app: str, *, idempotency_key: str = ""
    ) -> NewAppCredential:
        """Make a credential with its secret. Raises as `register`."""
        pair = generate_pair()
        credential = self.register(caller, locator, app, pair.public, idempotency_key=idempotency_key)
        return NewAppCredential(credential, format_app_secret(credential.credential_id, pair.secret))

    def register(
        self, caller: Caller, locator: str, app: str, public_key: bytes, *, idempotency_key: str = ""
    ) -> AppCredential:
        """Make a credential of a public key (32 bytes), whose secret stays where it was made.

        Raises: limit `too-many-credentials`, conflict `secret-known` and `idempotent-replay`.
        """
        now = self._context.now()
        inputs.public_key(public_key)
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_CREDENTIAL, locator)
            owner = find_app(tx, subscription, app, now, lock=True)
            credential = AppCredential(random_id(), owner.app_id, now, caller.name)
            claim(tx, caller, idempotency_key, "credential_id", credential.credential_id, now)
            if len(app_credentials.unrevoked(tx, owner.app_id)) >= MAX_CREDENTIALS:
                raise _too_many()
            if not app_credentials.add(tx, credential, owner.subscription_id, public_key):
                raise _known()
            change.app_changed(owner.app_id, owner.subscription_id)
            made = credential.credential_id
            record(tx, caller, "app.credential", owner, subscription, now, credential_id=made)
        return credential

    def list(self, caller: Caller, locator: str, app: str) -> tuple[AppCredential, ...]:
        """The unrevoked credentials of an app and the 100 that were revoked last, oldest first."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.APPS_LIST, locator)
            owner = find_app(tx, subscription, app, self._context.now())
            return app_credentials.of_app(tx, owner.app_id)

    def revoke(self, caller: Caller, locator: str, app: str, credential_id: str) -> RevokeCredentialResult:
        """End a credential for ever, and the sidecars that are attached with it.

        What is revoked already is told to the relays once more.
        """
        now = self._context.now()
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.APPS_CREDENTIAL, locator)
            owner = find_app(tx, subscription, app, now, lock=True)
            credential = _find(tx, owner, credential_id)
            if credential.revoked_at is None:
                change.app_changed(owner.app_id, owner.subscription_id)
                app_credentials.revoke(tx, [credential_id], now, caller.name)
                record(
                    tx,
                    caller,
                    "app.credential.revoke",
                    owner,
                    subscription,
                    now,
                    credential_id=credential_id,
                )
                credential = _find(tx, owner, credential_id)
            else:
                change.tell_app(owner.app_id, owner.subscription_id)
        return RevokeCredentialResult(credential, change.pending_relays)

    def sidecars(self, caller: Caller, locator: str, app: str) -> tuple[SidecarView, ...]:
        """The sidecars of an app that are attached now, oldest first."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.APPS_LIST, locator)
            owner = find_app(tx, subscription, app, self._context.now())
        live = self._context.relays.sidecars(subscription.subscription_id)
        return tuple(sidecar for sidecar in live if sidecar.app_id == owner.app_id)


def _find(tx: Transaction, owner: App, credential_id: str) -> AppCredential:
    found = app_credentials.find(tx, owner.app_id, credential_id) if inputs.is_id(credential_id) else None
    if found is None:
        raise unfound("credential", "`aditus apps credentials` lists those that an app has.")
    return found


def _too_many() -> AditusError:
    return AditusError(
        Code.LIMIT,
        "too-many-credentials",
        f"The app has {MAX_CREDENTIALS} credentials already: one in use, and one to take its place.",
        remedy="Revoke the one that is not needed any more: `aditus apps credentials` tells their last use.",
    )


def _known() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "secret-known",
        "The app has, or had, a credential with this public key already.",
        remedy="Make a new key pair: aditus keypair",
        field="public_key",
    )
