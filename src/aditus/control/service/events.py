"""The audit events that a caller may see."""

from aditus.control.service import inputs
from aditus.control.service.context import Context, permitted
from aditus.domain.model import AuditEvent, Caller, Page, Role
from aditus.domain.policy import Operation
from aditus.store import events
from aditus.store.events import EVERY, Wanted


class Events:
    """The use cases of audit events. `locator` `0` is the caller's own subscription."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(
        self,
        caller: Caller,
        locator: str,
        wanted: Wanted = EVERY,
        *,
        cursor: str = "",
        limit: int = inputs.DEFAULT_PAGE,
    ) -> Page[AuditEvent]:
        """A page of events, newest first; to owners also those of the organisation. `limit` 1 to 500."""
        limit = inputs.page_size(limit)
        before = _event_id(cursor)
        with self._context.database.read() as tx:
            subscription = permitted(tx, caller, Operation.AUDIT_LIST, locator)
            found = events.page(
                tx,
                subscription.organization_id,
                subscription.subscription_id,
                organization_wide=caller.role is Role.OWNER,
                wanted=wanted,
                before=before,
                limit=limit + 1,
            )
        items = found[:limit]
        return Page(items, str(items[-1].event_id) if len(found) > limit else "")


def _event_id(cursor: str) -> int | None:
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise inputs.bad_cursor()
    return int(cursor)
