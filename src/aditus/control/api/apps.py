"""Apps, their associations, credentials and sidecars over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aditus.control.api.answers import (
    AppAnswer,
    AppStatusAnswer,
    AssociateAnswer,
    CredentialAnswer,
    NewCredentialAnswer,
    PageAnswer,
    RevokeCredentialAnswer,
    SidecarAnswer,
)
from aditus.control.api.asking import SUBSCRIPTION, AppName, Asks, IdempotencyKey, IfMatch, Locator
from aditus.control.api.bodies import CreateApp, CreateCredential, PageQuery, PatchApp
from aditus.control.api.texts import public_key
from aditus.control.service.apps import AppPatch, Apps
from aditus.control.service.credentials import Credentials
from aditus.control.service.versions import app_version

KeyQuery = Annotated[str, Query(alias="tunnelKey", description="An access_key_id", max_length=2000)]
RegionQuery = Annotated[str, Query(description="Needed when several regions have this key", max_length=32)]


def router(apps: Apps, credentials: Credentials) -> APIRouter:
    """The routes of apps."""
    routes = APIRouter(prefix=f"{SUBSCRIPTION}/apps", tags=["apps"])

    @routes.post("", status_code=201)
    def create_app(
        caller: Asks, locator: Locator, body: CreateApp, idempotency_key: IdempotencyKey = ""
    ) -> AppAnswer:
        """Create an app."""
        made = apps.create(caller, locator, body.name, body.capability, idempotency_key=idempotency_key)
        return AppAnswer.model_validate(made)

    @routes.get("")
    def list_apps(
        caller: Asks, locator: Locator, query: Annotated[PageQuery, Query()]
    ) -> PageAnswer[AppAnswer]:
        """List apps, oldest first; a revoked key is still named until it is dissociated."""
        page = apps.list(caller, locator, cursor=query.cursor, limit=query.limit)
        return PageAnswer[AppAnswer].model_validate(page)

    @routes.get("/{app_id}")
    def show_app(caller: Asks, locator: Locator, app_id: AppName, response: Response) -> AppAnswer:
        """Show one app."""
        shown = apps.show(caller, locator, app_id)
        response.headers["ETag"] = app_version(shown)
        return AppAnswer.model_validate(shown)

    @routes.patch("/{app_id}")
    def patch_app(
        caller: Asks,
        locator: Locator,
        app_id: AppName,
        body: PatchApp,
        response: Response,
        if_match: IfMatch = "",
    ) -> AppAnswer:
        """Change what is sent, and only that."""
        patch = AppPatch(name=body.name) if "name" in body.model_fields_set else AppPatch()
        changed = apps.patch(caller, locator, app_id, patch, if_match=if_match)
        response.headers["ETag"] = app_version(changed)
        return AppAnswer.model_validate(changed)

    @routes.get("/{app_id}/status")
    def app_status(caller: Asks, locator: Locator, app_id: AppName) -> AppStatusAnswer:
        """Show what an app can reach now."""
        return AppStatusAnswer.model_validate(apps.status(caller, locator, app_id))

    @routes.delete("/{app_id}", status_code=204)
    def delete_app(caller: Asks, locator: Locator, app_id: AppName) -> None:
        """Forget an app and its association, and revoke its credentials."""
        apps.delete(caller, locator, app_id)

    @routes.put("/{app_id}/env/tunnelkey", status_code=202)
    def associate_app(
        caller: Asks, locator: Locator, app_id: AppName, access_key_id: KeyQuery, region: RegionQuery = ""
    ) -> AssociateAnswer:
        """Give an app its one key, in place of the one it had. The app is not restarted."""
        return AssociateAnswer.of(apps.associate(caller, locator, app_id, access_key_id, region=region))

    @routes.delete("/{app_id}/env/tunnelkey", status_code=202)
    def dissociate_app(caller: Asks, locator: Locator, app_id: AppName) -> AssociateAnswer:
        """Take an app's key away, dead or alive. Its live streams are cut."""
        return AssociateAnswer.of(apps.dissociate(caller, locator, app_id))

    @routes.post("/{app_id}/credentials", status_code=201)
    def create_credential(
        caller: Asks,
        locator: Locator,
        app_id: AppName,
        body: CreateCredential | None = None,
        idempotency_key: IdempotencyKey = "",
    ) -> NewCredentialAnswer:
        """Create a credential for the sidecars of an app. The answer has its secret, this only time.

        An app has two at most that are not revoked.
        """
        if body is None or body.public_key is None:
            made = credentials.create(caller, locator, app_id, idempotency_key=idempotency_key)
            return NewCredentialAnswer.of(made)
        raw = public_key(body.public_key)
        return NewCredentialAnswer.of(
            credentials.register(caller, locator, app_id, raw, idempotency_key=idempotency_key)
        )

    @routes.get("/{app_id}/credentials")
    def list_credentials(caller: Asks, locator: Locator, app_id: AppName) -> PageAnswer[CredentialAnswer]:
        """List the credentials of an app, oldest first, all on one page; of revoked ones the last 100."""
        found = credentials.list(caller, locator, app_id)
        return PageAnswer(items=[CredentialAnswer.model_validate(one) for one in found])

    @routes.delete("/{app_id}/credentials/{credential_id}")
    def revoke_credential(
        caller: Asks, locator: Locator, app_id: AppName, credential_id: str
    ) -> RevokeCredentialAnswer:
        """Revoke a credential; its sidecars are cut. Again is no harm."""
        return RevokeCredentialAnswer.of(credentials.revoke(caller, locator, app_id, credential_id))

    @routes.get("/{app_id}/sidecars")
    def list_sidecars(caller: Asks, locator: Locator, app_id: AppName) -> PageAnswer[SidecarAnswer]:
        """List the sidecars of an app that are attached now, oldest first, all on one page."""
        found = credentials.sidecars(caller, locator, app_id)
        return PageAnswer(items=[SidecarAnswer.model_validate(one) for one in found])

    return routes
