"""The audit by the API: what was done, whether its chain holds, and who was refused."""

from collections.abc import Iterator

from aditus.client.asking import Asking, rfc3339
from aditus.client.decode import decode
from aditus.domain.audit_chain import Verification
from aditus.domain.model import AuditEvent
from aditus.domain.relays import StrangerRefusal

VERIFY_SECONDS = 600.0  # a million entries take half a minute


class Audit(Asking):
    """The audit of the organization that the subscription is of."""

    def audit_events(self) -> Iterator[AuditEvent]:
        """What was done, newest first; asks for a page when it is needed."""
        return self._pages(AuditEvent, f"{self._subscription}/audit-events", {})

    def verify_audit(self, head: str = "") -> Verification:
        """Have the server look at its whole audit chain; `head` is one that was kept, `SEQUENCE:HASH`."""
        query = {"head": head} if head else {}
        answer = self._http.request(
            "GET", f"{self._subscription}/audit-events/verify", query=query, patience=VERIFY_SECONDS
        )
        return self._decoded(lambda data: decode(Verification, data), answer)

    def export_audit(self, since: float | None = None) -> Iterator[str]:
        """Every audit entry of the organisation as a line of JSON, oldest first; `since` in Unix seconds."""
        query = {} if since is None else {"since": str(rfc3339(since))}
        path = f"{self._subscription}/audit-events/export"
        with self._http.followed(path, query=query, accept="application/x-ndjson") as lines:
            yield from lines

    def stranger_refusals(self) -> tuple[StrangerRefusal, ...]:
        """Who was refused at the relays without having proved anything, newest first."""
        return tuple(self._pages(StrangerRefusal, f"{self._subscription}/stranger-refusals", None))
