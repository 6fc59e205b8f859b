"""Keys whose end is near: recorded 14, 7 and 1 days before, and when it has come."""

from collections.abc import Callable, Sequence

from aditus.control import audit
from aditus.control.service.context import Context
from aditus.domain.model import AccessKey
from aditus.store import keys, subscriptions

SECONDS = 60.0
"""How often to look."""


class Expiry:
    """Tells of keys that expire soon, each warning once, whoever of several servers finds it."""

    def __init__(self, context: Context, tell: Callable[[Sequence[AccessKey]], None]) -> None:
        self._context = context
        self._tell = tell

    def warn(self) -> tuple[AccessKey, ...]:
        """Record what has come nearer than 14, 7 or 1 days, or has come, since the last time; the keys."""
        now = self._context.now()
        with self._context.database.read() as tx:
            if not keys.to_warn(tx, now):
                return ()
        with self._context.database.write() as tx:
            warned = [key_id for key_id, days in keys.to_warn(tx, now) if keys.warned(tx, key_id, days)]
            found = keys.by_id(tx, warned, now)
            owners = subscriptions.by_ids(tx, {key.subscription_id for key in found.values()})
            for key in found.values():
                subscription = owners[key.subscription_id]
                audit.record(
                    tx,
                    audit.system(subscription.organization_id),
                    "key.expires-soon" if key.expiry_warning else "key.expire",
                    key.key_id,
                    key.access_key_id,
                    now,
                    subscription=subscription,
                    region=key.region,
                    details={"within_days": key.expiry_warning} if key.expiry_warning else None,
                )
        self._tell(list(found.values()))
        return tuple(found.values())
