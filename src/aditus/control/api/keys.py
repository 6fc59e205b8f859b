"""Access keys over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from aditus.control.api.answers import (
    KeyAnswer,
    NewKeyAnswer,
    PageAnswer,
    RevokeAnswer,
    RevokeResultAnswer,
    SuspendAnswer,
)
from aditus.control.api.asking import ACCESS_KEYS, Asks, IdempotencyKey, IfMatch, KeyName, Locator, Region
from aditus.control.api.bodies import GenerateKey, KeysQuery, PatchKey, RevokeKeys, RotateKey
from aditus.control.api.texts import public_key
from aditus.control.service.context import unfound
from aditus.control.service.keys import KeyPatch, Keys
from aditus.control.service.rotation import Rotation
from aditus.control.service.versions import key_version
from aditus.domain.model import KeyState


def router(keys: Keys, rotation: Rotation) -> APIRouter:
    """The routes of access keys."""
    routes = APIRouter(prefix=ACCESS_KEYS, tags=["access keys"])

    @routes.post("", status_code=201)
    def generate_key(
        caller: Asks,
        locator: Locator,
        region: Region,
        body: GenerateKey,
        idempotency_key: IdempotencyKey = "",
    ) -> NewKeyAnswer:
        """Generate an access key. The answer has its secret, this only time."""
        new = keys.generate(
            caller,
            locator,
            region,
            body.access_key_id,
            body.capability,
            description=body.description,
            expires_at=body.expires_at,
            public_key=None if body.public_key is None else public_key(body.public_key),
            allowed_ports=body.allowed_ports,
            allowed_sources=body.allowed_sources,
            idempotency_key=idempotency_key,
        )
        return NewKeyAnswer.of(new)

    @routes.get("")
    def list_keys(
        caller: Asks, locator: Locator, region: Region, query: Annotated[KeysQuery, Query()]
    ) -> PageAnswer[KeyAnswer]:
        """List access keys, oldest first."""
        state = KeyState(query.state) if query.state else None
        page = keys.list(caller, locator, region, state=state, cursor=query.cursor, limit=query.limit)
        return PageAnswer[KeyAnswer].model_validate(page)

    @routes.post("/revoke")
    def revoke_keys(caller: Asks, locator: Locator, region: Region, body: RevokeKeys) -> RevokeAnswer:
        """Revoke many keys at once; with `dry_run`, tell what that would cut."""
        results = keys.revoke(caller, locator, region, body.access_key_ids, dry_run=body.dry_run)
        shown = [RevokeResultAnswer.model_validate(result) for result in results]
        return RevokeAnswer(dry_run=body.dry_run, results=shown)

    @routes.get("/{access_key_id}")
    def show_key(
        caller: Asks, locator: Locator, region: Region, access_key_id: KeyName, response: Response
    ) -> KeyAnswer:
        """Show one access key."""
        shown = keys.show(caller, locator, region, access_key_id)
        response.headers["ETag"] = key_version(shown)
        return KeyAnswer.model_validate(shown)

    @routes.patch("/{access_key_id}")
    def patch_key(
        caller: Asks,
        locator: Locator,
        region: Region,
        access_key_id: KeyName,
        body: PatchKey,
        response: Response,
        if_match: IfMatch = "",
    ) -> KeyAnswer:
        """Change what is sent, and only that."""
        patch = KeyPatch()
        if "description" in body.model_fields_set:
            patch["description"] = body.description
        if "expires_at" in body.model_fields_set:
            patch["expires_at"] = body.expires_at
        if "allowed_ports" in body.model_fields_set:
            patch["allowed_ports"] = body.allowed_ports
        if "allowed_sources" in body.model_fields_set:
            patch["allowed_sources"] = body.allowed_sources
        changed = keys.patch(caller, locator, region, access_key_id, patch, if_match=if_match)
        response.headers["ETag"] = key_version(changed)
        return KeyAnswer.model_validate(changed)

    @routes.delete("/{access_key_id}")
    def revoke_key(
        caller: Asks, locator: Locator, region: Region, access_key_id: KeyName
    ) -> RevokeResultAnswer:
        """Revoke one access key; again is no harm."""
        (result,) = keys.revoke(caller, locator, region, [access_key_id])
        if result.result == "not-found":
            raise unfound("access key", "`GET` the list to see those that there are in this region.")
        return RevokeResultAnswer.model_validate(result)

    @routes.post("/{access_key_id}/suspend")
    def suspend_key(caller: Asks, locator: Locator, region: Region, access_key_id: KeyName) -> SuspendAnswer:
        """Stop a key until it is resumed; its tunnels are cut."""
        return SuspendAnswer.model_validate(keys.suspend(caller, locator, region, access_key_id))

    @routes.post("/{access_key_id}/resume")
    def resume_key(caller: Asks, locator: Locator, region: Region, access_key_id: KeyName) -> KeyAnswer:
        """Let a suspended key work again."""
        return KeyAnswer.model_validate(keys.resume(caller, locator, region, access_key_id))

    @routes.post("/{access_key_id}/rotate", status_code=201)
    def rotate_key(
        caller: Asks,
        locator: Locator,
        region: Region,
        access_key_id: KeyName,
        body: RotateKey,
        idempotency_key: IdempotencyKey = "",
    ) -> NewKeyAnswer:
        """Give a key a second secret. The answer has it, this only time.

        The old one lives on for `grace` seconds after the first use of the new one; with `now` it ends now.
        """
        new = rotation.rotate(
            caller,
            locator,
            region,
            access_key_id,
            grace=body.grace,
            at_once=body.now,
            public_key=None if body.public_key is None else public_key(body.public_key),
            idempotency_key=idempotency_key,
        )
        return NewKeyAnswer.of(new)

    return routes
