"""What this relay knows of apps: their credentials and associations in memory, fed from the key feed."""

from collections.abc import Iterable

from aditus.domain.relays import RelayApp, RelayCredential
from aditus.relay.keyring import MAX_DEAD


class AppRing:
    """The apps of one region by app_id, by credential and by key."""

    def __init__(self) -> None:
        self._apps: dict[str, RelayApp] = {}
        self._by_credential: dict[str, tuple[str, RelayCredential]] = {}
        self._by_key: dict[str, dict[str, None]] = {}
        self._dead: dict[str, None] = {}  # revoked credentials, in the order in which they were learnt of

    def apply(self, apps: Iterable[RelayApp]) -> None:
        """Take over changed apps. The feed tells changes in the order of their commits."""
        for app in apps:
            known = self._apps.get(app.app_id)
            if known is not None:
                self._forget(known)
            self._apps[app.app_id] = app
            if app.key_id:
                self._by_key.setdefault(app.key_id, {})[app.app_id] = None
            for credential in app.credentials:
                self._by_credential[credential.credential_id] = (app.app_id, credential)
                if credential.revoked:
                    self._dead[credential.credential_id] = None
            self._drop_if_gone(app)
        while len(self._dead) > MAX_DEAD:
            oldest = next(iter(self._dead))
            del self._dead[oldest]
            app_id, _ = self._by_credential.pop(oldest)
            self._drop_if_gone(self._apps[app_id])

    def get(self, app_id: str) -> RelayApp | None:
        """The app; None when it is not known here, or has been deleted and forgotten."""
        return self._apps.get(app_id)

    def credential(self, credential_id: str) -> tuple[RelayApp, RelayCredential] | None:
        """A credential, revoked or not, and its app; None when it was never known here."""
        found = self._by_credential.get(credential_id)
        return None if found is None else (self._apps[found[0]], found[1])

    def of_key(self, key_id: str) -> list[str]:
        """The app_ids that are associated with a key."""
        return list(self._by_key.get(key_id, ()))

    def _forget(self, app: RelayApp) -> None:
        if app.key_id:
            of_key = self._by_key[app.key_id]
            del of_key[app.app_id]
            if not of_key:
                del self._by_key[app.key_id]
        for credential in app.credentials:
            self._by_credential.pop(credential.credential_id, None)
            self._dead.pop(credential.credential_id, None)
        del self._apps[app.app_id]

    def _drop_if_gone(self, app: RelayApp) -> None:
        """An app without key and credentials can do nothing, and nobody will ask for it."""
        if not app.key_id and not any(one.credential_id in self._by_credential for one in app.credentials):
            self._forget(app)
