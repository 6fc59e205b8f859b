"""Access keys: generate, list, show, change, suspend, resume, revoke."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TypedDict

from aditus.control import audit
from aditus.control.service import inputs, rules, versions
from aditus.control.service.context import Context, permitted, unfound
from aditus.control.service.feed import Change
from aditus.control.service.refusals import refusal
from aditus.control.service.replay import claim
from aditus.crypto.keys import generate_pair, random_connect_id, random_id
from aditus.domain import names
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import format_access_key
from aditus.domain.model import (
    AccessKey,
    Caller,
    Cut,
    KeyState,
    NewAccessKey,
    Page,
    RevokeResult,
    Subscription,
    SuspendResult,
)
from aditus.domain.policy import Denied, Operation, may_generate
from aditus.store import keys, subscriptions
from aditus.store.database import Transaction
from aditus.store.keys import Wanted

MAX_DESCRIPTION = 500  # characters
MAX_REVOKED_AT_ONCE = 500


class KeyPatch(TypedDict, total=False):
    """What may be changed of a key; what is absent stays. None: never expires, any port, any source."""

    description: str
    expires_at: float | None
    allowed_ports: Sequence[int] | None
    allowed_sources: Sequence[str] | None


class Keys:
    """The use cases of access keys. `locator` `0` is the caller's own subscription."""

    def __init__(self, context: Context) -> None:
        self._context = context

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
        allowed_ports: Sequence[int] | None = None,
        allowed_sources: Sequence[str] | None = None,
        idempotency_key: str = "",
    ) -> NewAccessKey:
        """Make a key. With `public_key` (32 bytes) the secret stays with the caller and is not in the answer.

        Raises: limit `key-quota`, conflict `key-exists` and `idempotent-replay`, forbidden `no-capability`.
        """
        now = self._context.now()
        access_key_id = names.access_key_id(access_key_id)
        capability = names.capability_name(capability)
        description = inputs.line(description, "description", MAX_DESCRIPTION)
        expires_at = inputs.expiry(expires_at, now)
        ports, sources = rules.allowed_ports(allowed_ports), rules.allowed_sources(allowed_sources)
        inputs.public_key(public_key)
        key_id = random_id()
        pair = generate_pair()  # not used when the caller has made one
        with self._context.feed.change() as change:
            tx = change.tx
            subscription = permitted(tx, caller, Operation.KEYS_GENERATE, locator, region)
            verdict = may_generate(caller, _narrowed(tx, subscription, region), region, capability)
            if isinstance(verdict, Denied):
                raise refusal(verdict)
            quota = subscriptions.lock_quota(tx, subscription.subscription_id, region)
            claim(tx, caller, idempotency_key, "key_id", key_id, now)
            namesake = keys.find(tx, subscription.subscription_id, region, access_key_id, now)
            if namesake and namesake.state is not KeyState.REVOKED:
                raise _exists()
            if quota.used >= quota.limit:
                raise _quota_used_up(quota.limit)
            key = AccessKey(
                key_id=key_id,
                access_key_id=access_key_id,
                subscription_id=subscription.subscription_id,
                region=region,
                capability=capability,
                description=description,
                state=KeyState.ACTIVE,
                connect_url="",
                relay_url="",
                created_at=now,
                created_by=caller.name,
                expires_at=expires_at,
                allowed_ports=ports,
                allowed_sources=sources,
            )
            keys.add(tx, key, random_connect_id(), public_key or pair.public, change.raise_epoch(region))
            change.tell(region, [key_id])
            _record(tx, caller, "key.generate", key, subscription, now, {"capability": capability})
            key = keys.by_id(tx, [key_id], now)[key_id]
        secret = None if public_key else format_access_key(region, key_id, pair.secret)
        return NewAccessKey(key, secret)

    def list(
        self,
        caller: Caller,
        locator: str,
        region: str,
        *,
        state: KeyState | None = None,
        cursor: str = "",
        limit: int = inputs.DEFAULT_PAGE,
    ) -> Page[AccessKey]:
        """A page of keys, oldest first; `limit` 1 to 500."""
        limit, after = inputs.page_size(limit), inputs.position(cursor)
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.KEYS_LIST, locator, region)
            found = keys.page(
                tx,
                subscription.subscription_id,
                region,
                self._context.now(),
                state=state,
                after=after,
                limit=limit + 1,
            )
        items = self._with_old_instances(subscription, found[:limit])
        more = len(found) > limit
        return Page(items, inputs.cursor(items[-1].created_at, items[-1].key_id) if more else "")

    def search(
        self, caller: Caller, locator: str, region: str, wanted: Wanted, *, offset: int, limit: int
    ) -> tuple[int, tuple[AccessKey, ...]]:
        """How many keys are wanted, and at most `limit` (1 to 500) of them from the `offset`-th on."""
        limit = inputs.page_size(limit)
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.KEYS_LIST, locator, region)
            total, found = keys.search(
                tx,
                subscription.subscription_id,
                region,
                wanted,
                self._context.now(),
                offset=offset,
                limit=limit,
            )
        return total, self._with_old_instances(subscription, found)

    def show(self, caller: Caller, locator: str, region: str, access_key_id: str) -> AccessKey:
        """The unrevoked key of this name, else the newest revoked one."""
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.KEYS_LIST, locator, region)
            key = _find(tx, subscription, region, access_key_id, self._context.now())
        return self._with_old_instances(subscription, [key])[0]

    def by_key_ids(
        self, caller: Caller, locator: str, region: str, key_ids: Sequence[str]
    ) -> tuple[AccessKey, ...]:
        """Of these key_ids, which no other keys ever get, those of this region, in the order given."""
        asked = list(
            dict.fromkeys(key_id for key_id in key_ids[:MAX_REVOKED_AT_ONCE] if inputs.is_id(key_id))
        )
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.KEYS_LIST, locator, region)
            known = keys.by_id(tx, asked, self._context.now())
        here = (subscription.subscription_id, region)
        found = [known[key_id] for key_id in asked if key_id in known]
        return self._with_old_instances(
            subscription, [key for key in found if (key.subscription_id, key.region) == here]
        )

    def patch(
        self,
        caller: Caller,
        locator: str,
        region: str,
        access_key_id: str,
        patch: KeyPatch,
        *,
        if_match: str = "",
    ) -> AccessKey:
        """Change an unrevoked key; a later `expires_at` revives an expired one.

        Raises conflict `revoked`, and `changed-meanwhile` where it is not the version of `if_match`.
        """
        now = self._context.now()
        values: dict[str, object] = {}
        if "description" in patch:
            values["description"] = inputs.line(patch["description"], "description", MAX_DESCRIPTION)
        if "expires_at" in patch:
            values["expires_at"] = inputs.expiry(patch["expires_at"], now)
            values["warned_days"] = None  # of another day
        if "allowed_ports" in patch:
            values["allowed_ports"] = _stored(rules.allowed_ports(patch["allowed_ports"]))
        if "allowed_sources" in patch:
            values["allowed_sources"] = _stored(rules.allowed_sources(patch["allowed_sources"]))
        with self._context.feed.change() as change:
            subscription = permitted(change.tx, caller, Operation.KEYS_UPDATE, locator, region)
            change.lock(region)
            key = self._unrevoked(change.tx, subscription, region, access_key_id, now)
            versions.check(if_match, versions.key_version(key))
            if values:
                keys.change(change.tx, key.key_id, change.raise_epoch(region), values)
                change.tell(region, [key.key_id])
                _record(
                    change.tx, caller, "key.update", key, subscription, now, {"changed": ", ".join(patch)}
                )
            return keys.by_id(change.tx, [key.key_id], now)[key.key_id]

    def revoke(
        self,
        caller: Caller,
        locator: str,
        region: str,
        access_key_ids: Sequence[str],
        *,
        dry_run: bool = False,
        only: Collection[str] | None = None,
    ) -> tuple[RevokeResult, ...]:
        """Revoke 1 to 500 keys in one transaction, then cut what used them.

        One result per id, in the order given; what is revoked already is told to the relays once more. The
        cuts are those of this process's relays; those of others that may not know of it yet are named.
        With `dry_run` nothing changes, and the cuts are those that would be made. With `only` a key that has
        another key_id is not found: a namesake that was made since is not meant.
        """
        if not 1 <= len(access_key_ids) <= MAX_REVOKED_AT_ONCE:
            raise invalid(
                "bad-count",
                f"1 to {MAX_REVOKED_AT_ONCE} keys are revoked at once.",
                remedy="Revoke them in several steps.",
                field="access_key_ids",
            )
        wanted = [names.access_key_id(access_key_id) for access_key_id in access_key_ids]
        now = self._context.now()
        if dry_run:
            with self._context.database.read() as tx:
                subscription = permitted(tx, caller, Operation.KEYS_REVOKE, locator, region)
                found = keys.find_many(tx, subscription.subscription_id, region, wanted, now)
            dying = [key.key_id for key in found.values() if key.state is not KeyState.REVOKED]
            cuts = {cut.key_id: cut for cut in self._context.relays.would_cut(dying)}
            pending: tuple[str, ...] = ()
        else:
            with self._context.feed.change() as change:
                subscription = permitted(change.tx, caller, Operation.KEYS_REVOKE, locator, region)
                change.lock(region)
                found = keys.find_many(change.tx, subscription.subscription_id, region, wanted, now)
                if only is not None:
                    found = {name: key for name, key in found.items() if key.key_id in only}
                alive = [key for key in found.values() if key.state is not KeyState.REVOKED]
                if alive:
                    key_ids = [key.key_id for key in alive]
                    keys.revoke(change.tx, key_ids, change.raise_epoch(region), now, caller.name)
                for key in alive:
                    _record(change.tx, caller, "key.revoke", key, subscription, now)
                change.tell(region, [key.key_id for key in found.values()])
            cuts, pending = change.cuts, change.pending_relays
        return _results(wanted, found, cuts, pending)

    def suspend(
        self, caller: Caller, locator: str, region: str, access_key_id: str, *, key_id: str = ""
    ) -> SuspendResult:
        """Stop a key until it is resumed, and cut its tunnels. Raises conflict `revoked`.

        With `key_id` no namesake that was made since is meant.
        """
        key, change = self._set_state(
            caller, Operation.KEYS_SUSPEND, locator, region, access_key_id, KeyState.SUSPENDED, key_id
        )
        return SuspendResult(key, change.cuts.get(key.key_id), change.pending_relays)

    def resume(
        self, caller: Caller, locator: str, region: str, access_key_id: str, *, key_id: str = ""
    ) -> AccessKey:
        """Let a suspended key work again. Again is no harm. Raises conflict `revoked`.

        With `key_id` no namesake that was made since is meant.
        """
        key, _ = self._set_state(
            caller, Operation.KEYS_RESUME, locator, region, access_key_id, KeyState.ACTIVE, key_id
        )
        return key

    def _set_state(
        self,
        caller: Caller,
        operation: Operation,
        locator: str,
        region: str,
        access_key_id: str,
        state: KeyState,
        key_id: str,
    ) -> tuple[AccessKey, Change]:
        now = self._context.now()
        with self._context.feed.change() as change:
            subscription = permitted(change.tx, caller, operation, locator, region)
            change.lock(region)
            key = self._unrevoked(change.tx, subscription, region, access_key_id, now)
            if key_id and key.key_id != key_id:
                raise refusal(Denied("revoked"))
            if key.state is not state:
                keys.change(change.tx, key.key_id, change.raise_epoch(region), {"state": state.value})
                action = "key.suspend" if state is KeyState.SUSPENDED else "key.resume"
                _record(change.tx, caller, action, key, subscription, now)
            change.tell(region, [key.key_id])
            key = keys.by_id(change.tx, [key.key_id], now)[key.key_id]
        return key, change

    def _with_old_instances(
        self, subscription: Subscription, found: Sequence[AccessKey]
    ) -> tuple[AccessKey, ...]:
        """The keys, with how many instances still use the old secret of those that are rotated."""
        if not any(key.rotation for key in found):
            return tuple(found)
        old: dict[str, set[str]] = {}
        for tunnel in self._context.relays.tunnels(subscription.subscription_id):
            if tunnel.old_secret:
                old.setdefault(tunnel.key_id, set()).add(tunnel.instance)
        return tuple(
            key
            if key.rotation is None
            else dataclasses.replace(
                key,
                rotation=dataclasses.replace(key.rotation, old_instances=len(old.get(key.key_id, ()))),
            )
            for key in found
        )

    def _unrevoked(
        self, tx: Transaction, subscription: Subscription, region: str, access_key_id: str, now: float
    ) -> AccessKey:
        key = _find(tx, subscription, region, access_key_id, now)
        if key.state is KeyState.REVOKED:
            raise refusal(Denied("revoked"))
        return key


def _stored(rule: Sequence[object] | None) -> list[object] | None:
    return None if rule is None else list(rule)


def _narrowed(tx: Transaction, subscription: Subscription, region: str) -> Subscription:
    """The subscription with no more capabilities than it has in this region."""
    capabilities = subscriptions.capabilities_in(tx, subscription.subscription_id, region)
    return dataclasses.replace(subscription, capabilities=capabilities)


def _exists() -> AditusError:
    return AditusError(
        Code.CONFLICT,
        "key-exists",
        "There is an unrevoked access key of this ID in this region.",
        remedy="Choose another ID, or revoke that key first.",
        field="access_key_id",
    )


def _quota_used_up(limit: int) -> AditusError:
    return AditusError(
        Code.LIMIT,
        "key-quota",
        f"All {limit} access keys of this subscription in this region are in use; suspended and expired ones "
        "count too.",
        remedy="Revoke keys that nobody needs any more, then generate again.",
    )


def _find(
    tx: Transaction, subscription: Subscription, region: str, access_key_id: str, now: float
) -> AccessKey:
    key = keys.find(tx, subscription.subscription_id, region, names.access_key_id(access_key_id), now)
    if key is None:
        raise unfound("access key", "`aditus keys list` shows those that there are in this region.")
    return key


def _results(
    wanted: Sequence[str],
    found: Mapping[str, AccessKey],
    cuts: Mapping[str, Cut],
    pending: tuple[str, ...],
) -> tuple[RevokeResult, ...]:
    results = []
    seen: set[str] = set()
    for access_key_id in wanted:
        key = found.get(access_key_id)
        if key is None:
            results.append(RevokeResult(access_key_id, "", "not-found"))
            continue
        again = key.state is KeyState.REVOKED or access_key_id in seen
        seen.add(access_key_id)
        result = "already-revoked" if again else "revoked"
        cut = cuts.get(key.key_id)
        results.append(RevokeResult(access_key_id, key.key_id, result, cut, key.apps, pending))
    return tuple(results)


def _record(
    tx: Transaction,
    caller: Caller,
    action: str,
    key: AccessKey,
    subscription: Subscription,
    now: float,
    details: Mapping[str, str | int | None] | None = None,
) -> None:
    audit.record(
        tx,
        caller,
        action,
        key.key_id,
        key.access_key_id,
        now,
        subscription=subscription,
        region=key.region,
        details=details,
    )
