"""Apps by the API: which key each of them uses, credentials and sidecars. `app` is an app_id or a name."""

from collections.abc import Iterator
from typing import Any

from aditus.client.asking import Asking, base64url
from aditus.client.decode import decode
from aditus.client.http import segment
from aditus.domain.keytext import SecretText
from aditus.domain.model import (
    App,
    AppCredential,
    AppStatus,
    AssociateResult,
    NewAppCredential,
    RevokeCredentialResult,
)
from aditus.domain.relays import SidecarView


class Apps(Asking):
    """The apps of one subscription."""

    def create_app(self, name: str, capability: str) -> App:
        """Create an app."""
        return self._one(App, "POST", f"{self._subscription}/apps", {"name": name, "capability": capability})

    def list_apps(self) -> Iterator[App]:
        """Apps, oldest first; asks for a page when it is needed."""
        return self._pages(App, f"{self._subscription}/apps", {})

    def show_app(self, app: str) -> App:
        """One app, with its association."""
        return self._one(App, "GET", self._app(app))

    def rename_app(self, app: str, name: str) -> App:
        """Give an app another name; its app_id and its association stay."""
        return self._one(App, "PATCH", self._app(app), {"name": name})

    def app_status(self, app: str) -> AppStatus:
        """What an app can reach now."""
        return self._one(AppStatus, "GET", f"{self._app(app)}/status")

    def delete_app(self, app: str) -> None:
        """Forget an app and its association, and revoke its credentials."""
        self._http.request("DELETE", self._app(app))

    def associate(self, app: str, access_key_id: str, *, region: str = "") -> AssociateResult:
        """Give an app its one key, in place of the one it had. Without `region`, the server looks in all."""
        query = {"tunnelKey": access_key_id, **({"region": region} if region else {})}
        answer = self._http.request("PUT", f"{self._app(app)}/env/tunnelkey", query=query)
        return self._decoded(_associated, answer)

    def dissociate(self, app: str) -> AssociateResult:
        """Take an app's key away, dead or alive."""
        answer = self._http.request("DELETE", f"{self._app(app)}/env/tunnelkey")
        return self._decoded(_associated, answer)

    def create_credential(self, app: str, *, idempotency_key: str = "") -> NewAppCredential:
        """Make a credential for the sidecars of an app, which has two at most."""
        answer = self._http.request("POST", self._credentials(app), body={}, idempotency_key=idempotency_key)
        return self._decoded(
            lambda data: NewAppCredential(decode(AppCredential, data), SecretText(data["app_secret"])), answer
        )

    def register_credential(self, app: str, public_key: bytes, *, idempotency_key: str = "") -> AppCredential:
        """The same of a public key (32 bytes): the secret stays with whoever made it."""
        body = {"public_key": base64url(public_key)}
        answer = self._http.request(
            "POST", self._credentials(app), body=body, idempotency_key=idempotency_key
        )
        return self._decoded(lambda data: decode(AppCredential, data), answer)

    def list_credentials(self, app: str) -> tuple[AppCredential, ...]:
        """The unrevoked credentials of an app and the 100 that were revoked last, oldest first."""
        return tuple(self._pages(AppCredential, self._credentials(app), None))

    def revoke_credential(self, app: str, credential_id: str) -> RevokeCredentialResult:
        """End a credential for ever, and the sidecars that are attached with it."""
        answer = self._http.request("DELETE", f"{self._credentials(app)}/{segment(credential_id)}")
        return self._decoded(
            lambda data: RevokeCredentialResult(decode(AppCredential, data), tuple(data["pending_relays"])),
            answer,
        )

    def list_sidecars(self, app: str) -> tuple[SidecarView, ...]:
        """The sidecars of an app that are attached now, oldest first."""
        return tuple(self._pages(SidecarView, f"{self._app(app)}/sidecars", None))

    def _credentials(self, app: str) -> str:
        return f"{self._app(app)}/credentials"

    def _app(self, app: str) -> str:
        return f"{self._subscription}/apps/{segment(app)}"


def _associated(data: Any) -> AssociateResult:
    return AssociateResult(decode(App, data), tuple(data["pending_relays"]))
