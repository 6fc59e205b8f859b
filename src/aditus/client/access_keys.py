"""Access keys by the API: generate, look at, change, rotate, suspend and revoke."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aditus.client.asking import Asking, base64url, rfc3339
from aditus.client.decode import decode
from aditus.client.http import segment
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SecretText
from aditus.domain.model import (
    AccessKey,
    KeyState,
    NewAccessKey,
    Quota,
    RevokeResult,
    Subscription,
    SubscriptionInfo,
    SuspendResult,
)


class AccessKeys(Asking):
    """The keys of one subscription; `region` may be left empty while it has one region."""

    _only_region = ""

    def subscription(self) -> SubscriptionInfo:
        """The subscription, and how much of its quotas is used."""
        return self._decoded(_subscription_info, self._http.request("GET", self._subscription))

    def generate_key(
        self,
        access_key_id: str,
        capability: str,
        *,
        region: str = "",
        description: str = "",
        expires_at: float | None = None,
        public_key: bytes | None = None,
        allowed_ports: Sequence[int] | None = None,
        allowed_sources: Sequence[str] | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Generate a key. With `public_key` (32 bytes) `secret` is None: it stays with whoever made it.

        `allowed_ports` and `allowed_sources`: None is any, an empty sequence none.
        """
        body: dict[str, object] = {
            "access_key_id": access_key_id,
            "capability": capability,
            "description": description,
            "expires_at": rfc3339(expires_at),
            "allowed_ports": None if allowed_ports is None else list(allowed_ports),
            "allowed_sources": None if allowed_sources is None else list(allowed_sources),
        }
        if public_key is not None:
            body["public_key"] = base64url(public_key)
        answer = self._http.request("POST", self._keys(region), body=body, idempotency_key=idempotency_key)
        return self._decoded(_new_key, answer)

    def list_keys(self, *, region: str = "", state: KeyState | None = None) -> Iterator[AccessKey]:
        """Keys, oldest first; asks for a page when it is needed."""
        return self._pages(AccessKey, self._keys(region), {"state": state.value} if state else {})

    def show_key(self, access_key_id: str, *, region: str = "") -> AccessKey:
        """The unrevoked key of this ID, else the newest revoked one."""
        return self._one(AccessKey, "GET", self._key(access_key_id, region))

    def update_key(self, access_key_id: str, changes: Mapping[str, object], *, region: str = "") -> AccessKey:
        """Change what is named alone: `description`, `expires_at`, `allowed_ports`, `allowed_sources`.

        None: never expires, any port, any source. A later `expires_at` revives an expired key.
        """
        body = dict(changes)
        if isinstance(expires_at := body.get("expires_at"), float | int):
            body["expires_at"] = rfc3339(expires_at)
        return self._one(AccessKey, "PATCH", self._key(access_key_id, region), body)

    def rotate_key(
        self,
        access_key_id: str,
        *,
        region: str = "",
        grace: float | None = None,
        now: bool = False,
        public_key: bytes | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Give a key a second secret; `grace` seconds after its first use, or `now`, the old one ends."""
        body: dict[str, object] = {"grace": grace, "now": now}
        if public_key is not None:
            body["public_key"] = base64url(public_key)
        answer = self._http.request(
            "POST", f"{self._key(access_key_id, region)}/rotate", body=body, idempotency_key=idempotency_key
        )
        return self._decoded(_new_key, answer)

    def revoke_keys(
        self, access_key_ids: Sequence[str], *, region: str = "", dry_run: bool = False
    ) -> tuple[RevokeResult, ...]:
        """Revoke 1 to 500 keys, or tell what that would cut; one result per id, in the order given."""
        body = {"access_key_ids": list(access_key_ids), "dry_run": dry_run}
        answer = self._http.request("POST", f"{self._keys(region)}/revoke", body=body)
        return self._decoded(
            lambda data: tuple(decode(RevokeResult, result) for result in data["results"]), answer
        )

    def suspend_key(self, access_key_id: str, *, region: str = "") -> SuspendResult:
        """Stop a key until it is resumed; its tunnels are cut."""
        return self._one(SuspendResult, "POST", f"{self._key(access_key_id, region)}/suspend")

    def resume_key(self, access_key_id: str, *, region: str = "") -> AccessKey:
        """Let a suspended key work again."""
        return self._one(AccessKey, "POST", f"{self._key(access_key_id, region)}/resume")

    def _keys(self, region: str) -> str:
        return f"{self._subscription}/regions/{segment(region or self._one_region())}/access-keys"

    def _key(self, access_key_id: str, region: str) -> str:
        return f"{self._keys(region)}/{segment(access_key_id)}"

    def _one_region(self) -> str:
        """The region of a subscription that has one; asked for once."""
        if not self._only_region:
            regions = self.subscription().subscription.regions
            if not regions:
                raise AditusError(
                    Code.NOT_FOUND,
                    "no-region",
                    "The subscription has no region.",
                    remedy="Ask the operator of the server for one.",
                )
            if len(regions) > 1:
                raise invalid(
                    "region-needed",
                    f"The subscription has several regions: {', '.join(regions)}.",
                    remedy="Say which one is meant with --region.",
                    field="region",
                )
            self._only_region = regions[0]
        return self._only_region


def _new_key(data: Any) -> NewAccessKey:
    secret = data["secret_access_key"]
    return NewAccessKey(decode(AccessKey, data), None if secret is None else SecretText(secret))


def _subscription_info(data: Any) -> SubscriptionInfo:
    quotas = data["quotas"]["access_keys"]
    return SubscriptionInfo(
        decode(Subscription, data),
        tuple(Quota(region, quota["used"], quota["limit"]) for region, quota in quotas.items()),
    )
