"""Who asks: from a bearer token to a `Caller`, always with the same answer to what is not one."""

from collections.abc import Callable

from aditus.domain.model import Caller
from aditus.store.database import Database


class Authenticator:
    """Checks API tokens. `now` gives Unix seconds."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def caller(self, token: str) -> Caller:
        """Whose token `adtp_…` this is. Raises `AditusError` (unauthenticated, `bad-token`), one answer for all."""
        raise NotImplementedError
