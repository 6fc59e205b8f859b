"""Idempotency-Key: a create that was done is not done again, and its secret is not shown again."""

from aditus.control.service import inputs
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import Caller
from aditus.store import idempotency
from aditus.store.database import Transaction


class IdempotentReplay(AditusError):
    """The Idempotency-Key was used before, and made the object whose `kind` (`key_id` …) is `object_id`."""

    def __init__(self, kind: str, object_id: str) -> None:
        super().__init__(
            Code.CONFLICT,
            "idempotent-replay",
            f"This Idempotency-Key was used already; it made {kind} {object_id}.",
            remedy="If the answer was lost, and a secret with it: revoke what was made and create it anew.",
            field="Idempotency-Key",
        )
        self.kind = kind
        self.object_id = object_id


def claim(
    tx: Transaction, caller: Caller, idempotency_key: str, kind: str, object_id: str, now: float
) -> None:
    """Bind the key to what this transaction makes; the empty key binds nothing. Raises `IdempotentReplay`."""
    if not inputs.idempotency_key(idempotency_key):
        return
    made = idempotency.claim(tx, caller.caller_id, f"{kind}:{idempotency_key}", object_id, now)
    if made is not None:
        raise IdempotentReplay(kind, made)
