"""The audit chain of the caller's organisation: verified, and given away whole."""

import json
from collections.abc import Iterator

from aditus.control.service.context import Context, permitted
from aditus.domain.audit_chain import Head, Verification, Verifier, parse_head
from aditus.domain.model import Caller
from aditus.domain.policy import Operation
from aditus.store import audit_chain

PAGE = 1_000
"""Entries held at once. Each page is a transaction of its own, so that no long one holds up the database."""


class Chain:
    """The use cases of audit chains. `locator` `0` is the caller's own subscription; for owners alone."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def verify(self, caller: Caller, locator: str, *, head: str = "") -> Verification:
        """Look at every entry. With `head`, `SEQUENCE:HASH` from before, that one must be as it was."""
        kept = parse_head(head) if head else None
        organization_id = self._organization(caller, Operation.AUDIT_VERIFY, locator)
        verifier = Verifier(kept)
        after = 0
        while True:
            with self._context.database.read() as tx:
                entries = audit_chain.page(tx, organization_id, after=after, limit=PAGE)
                stored = audit_chain.head(tx, organization_id) or Head()
            for entry in entries:
                verifier.see(entry.content, entry.hash)
                after = entry.sequence
            if len(entries) < PAGE:
                return verifier.end(stored)

    def export(self, caller: Caller, locator: str, *, since: float | None = None) -> Iterator[bytes]:
        """Each entry as a line of JSON with its hash, in their order, from the first one since then on."""
        organization_id = self._organization(caller, Operation.AUDIT_EXPORT, locator)
        after = 0
        if since is not None:
            with self._context.database.read() as tx:
                after = audit_chain.before(tx, organization_id, since)
        return self._lines(organization_id, after)

    def _lines(self, organization_id: str, after: int) -> Iterator[bytes]:
        while True:
            with self._context.database.read() as tx:
                entries = audit_chain.page(tx, organization_id, after=after, limit=PAGE)
            if not entries:
                return
            after = entries[-1].sequence
            lines = (json.dumps({**one.content, "hash": one.hash}, ensure_ascii=False) for one in entries)
            yield "".join(f"{line}\n" for line in lines).encode()

    def _organization(self, caller: Caller, operation: Operation, locator: str) -> str:
        with self._context.database.read() as tx:
            return permitted(tx, caller, operation, locator).organization_id
