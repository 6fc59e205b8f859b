"""Hearing at once that somebody else has changed keys: PostgreSQL's LISTEN and NOTIFY."""

import selectors
import socket
from typing import Any

import psycopg
from sqlalchemy import func, select

from aditus.store.database import Database, Transaction, unavailable

CHANNEL = "aditus_keys"


def notify(tx: Transaction, region: str) -> None:
    """Wake all who listen, when this transaction is committed. Nothing on SQLite: nobody else is there."""
    if tx.dialect.name == "postgresql":
        tx.execute(select(func.pg_notify(CHANNEL, region)))


class Notices:
    """Listens on a connection of its own, which is made anew when it is lost. For one thread at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._connection: psycopg.Connection[Any] | None = None
        self._woken, self._waker = socket.socketpair()

    def wait(self, seconds: float) -> None:
        """Return when keys may have changed, after `wake`, and after `seconds` at the latest.

        Raises `AditusError` `database-unavailable` when it cannot listen.
        """
        try:
            if self._connection is None:
                self._connection = self._database.own_connection()
                self._connection.execute(f"LISTEN {CHANNEL}")
                return  # what was changed before, nobody told
            self._wait(self._connection, seconds)
        except psycopg.OperationalError as error:
            self._hang_up()
            raise unavailable() from error

    def wake(self) -> None:
        """End the wait of now or else the next one. From any thread."""
        self._waker.send(b"!")

    def close(self) -> None:
        """Hang up."""
        self._hang_up()
        self._woken.close()
        self._waker.close()

    def _wait(self, connection: "psycopg.Connection[Any]", seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            ready = {key.fileobj for key, _ in selector.select(seconds)}
        if self._woken in ready:
            self._woken.recv(64)
        if connection in ready:
            for _ in connection.notifies(timeout=0):
                pass  # whatever it says: look at the epoch

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
