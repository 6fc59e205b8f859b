"""Access keys: generate, list, show, change, suspend, resume, revoke."""

from collections.abc import Sequence
from typing import TypedDict

from aditus.domain.model import AccessKey, Caller, KeyState, NewAccessKey, Page, RevokeResult, SuspendResult


class KeyPatch(TypedDict, total=False):
    """What may be changed of a key; what is absent stays. `expires_at` None: never expires."""

    description: str
    expires_at: float | None


class Keys:
    """The use cases of access keys. `locator` `0` is the caller's own subscription."""

    def generate(
        self,
        caller: Caller,
        locator: str,
        region: str,
        access_key_id: str,
        capability: str,
        *,
        description: str = "",
        expires_at: float | None = None,
        public_key: bytes | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Make a key. With `public_key` (32 bytes) the secret stays with the caller and is not in the answer.

        Raises: limit `key-quota`, conflict `key-exists`, forbidden `no-capability`, conflict `idempotent-replay`.
        """
        raise NotImplementedError

    def list(
        self,
        caller: Caller,
        locator: str,
        region: str,
        *,
        state: KeyState | None = None,
        cursor: str = "",
        limit: int = 100,
    ) -> Page[AccessKey]:
        """A page of keys, oldest first; `limit` 1 to 500."""
        raise NotImplementedError

    def show(self, caller: Caller, locator: str, region: str, access_key_id: str) -> AccessKey:
        """The unrevoked key of this name, else the newest revoked one."""
        raise NotImplementedError

    def patch(
        self, caller: Caller, locator: str, region: str, access_key_id: str, patch: KeyPatch
    ) -> AccessKey:
        """Change an unrevoked key; a later `expires_at` revives an expired one."""
        raise NotImplementedError

    def revoke(
        self,
        caller: Caller,
        locator: str,
        region: str,
        access_key_ids: Sequence[str],
        *,
        dry_run: bool = False,
    ) -> tuple[RevokeResult, ...]:
        """Revoke 1 to 500 keys in one transaction, cut what used them; one result per id, in the order given."""
        raise NotImplementedError

    def suspend(self, caller: Caller, locator: str, region: str, access_key_id: str) -> SuspendResult:
        """Stop a key until it is resumed; its tunnels are cut."""
        raise NotImplementedError

    def resume(self, caller: Caller, locator: str, region: str, access_key_id: str) -> AccessKey:
        """Let a suspended key work again."""
        raise NotImplementedError
