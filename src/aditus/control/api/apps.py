"""Apps and their associations over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aditus.control.api.answers import AppAnswer, AppStatusAnswer, PageAnswer
from aditus.control.api.asking import SUBSCRIPTION, AppName, Asks, IdempotencyKey, IfMatch, Locator
from aditus.control.api.bodies import CreateApp, PageQuery, PatchApp
from aditus.control.service.apps import AppPatch, Apps
from aditus.control.service.versions import app_version

KeyQuery = Annotated[str, Query(alias="tunnelKey", description="An access_key_id", max_length=2000)]
RegionQuery = Annotated[str, Query(description="Needed when several regions have this key", max_length=32)]


def router(apps: Apps) -> APIRouter:
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
        """Show what an app could reach now."""
        return AppStatusAnswer.model_validate(apps.status(caller, locator, app_id))

    @routes.delete("/{app_id}", status_code=204)
    def delete_app(caller: Asks, locator: Locator, app_id: AppName) -> None:
        """Forget an app and its association."""
        apps.delete(caller, locator, app_id)

    @routes.put("/{app_id}/env/tunnelkey", status_code=202)
    def associate_app(
        caller: Asks, locator: Locator, app_id: AppName, access_key_id: KeyQuery, region: RegionQuery = ""
    ) -> AppAnswer:
        """Give an app its one key, in place of the one it had. The app is not restarted."""
        return AppAnswer.model_validate(apps.associate(caller, locator, app_id, access_key_id, region=region))

    @routes.delete("/{app_id}/env/tunnelkey", status_code=202)
    def dissociate_app(caller: Asks, locator: Locator, app_id: AppName) -> AppAnswer:
        """Take an app's key away, dead or alive."""
        return AppAnswer.model_validate(apps.dissociate(caller, locator, app_id))

    return routes
