"""Following what other processes do to the keys of a region in the same database, in a thread of its own."""

import logging
import os
import socket
import threading
import time

from aditus.control.service.feed import KeyFeed
from aditus.domain.errors import AditusError
from aditus.store import relays
from aditus.store.database import Database
from aditus.store.notices import Notices
from aditus.telemetry.log import fields

_log = logging.getLogger(__name__)

COMPARED_SECONDS = 1.0
"""How often the region's epoch is compared with what the relay knows, should no notice come."""
SEEN_EVERY_SECONDS = 5.0
"""How often the row says that this process lives; others take it for gone after `relays.SEEN_SECONDS`."""
STOP_SECONDS = 5.0


class Follower:
    """Keeps the relay of this process at the region's epoch, and acknowledges what it knows and has cut.

    On a database of one process there is nobody to follow: then it reads the keys once.
    """

    def __init__(self, database: Database, feed: KeyFeed, region: str) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        """Whom receipts name when this process does not acknowledge."""
        self._database = database
        self._feed = feed
        self._region = region
        self._acknowledged = (-1, 0.0)  # which epoch, and when
        self._stopping = threading.Event()
        self._notices: Notices | None = None
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def join(self) -> None:
        """Register, and read the keys for the first time. Raises `AditusError` `database-unavailable`."""
        if self._database.shared:
            # First the row: whoever revokes from now on waits for us, and of what was before we read.
            self._register()
        self._feed.catch_up(self._region)

    def start(self) -> None:
        """Begin to follow, after `join`."""
        if self._database.shared:
            self._notices = Notices(self._database)
            self._thread.start()

    def others(self) -> bool:
        """Whether other relays serve the region, as far as is known. Asks the database; blocks."""
        if not self._database.shared:
            return False
        try:
            with self._database.read() as tx:
                return bool(relays.others(tx, self._region, self._feed.relay_id))
        except AditusError as error:
            _log.warning("it is not known whether other relays serve the region: %s", error)
            return True

    def stop(self) -> None:
        """Stop following, and take the row away. Blocks for seconds when the database does not answer.

        Again is no harm.
        """
        if self._notices is None or self._stopping.is_set():
            return
        self._stopping.set()
        self._notices.wake()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            _log.warning("the database does not answer: this relay cannot be taken off its list")
            return
        self._notices.close()
        try:
            with self._database.write() as tx:
                relays.remove(tx, self._feed.relay_id)
        except AditusError as error:
            _log.warning("this relay cannot be taken off the database's list: %s", error)

    def _run(self) -> None:
        following = True
        while not self._stopping.is_set():
            try:
                self._step()
                if not following:
                    _log.info("the relay knows all keys again")
                following = True
                if self._notices is not None:
                    self._notices.wait(COMPARED_SECONDS)
                continue
            except AditusError as error:
                if following:
                    _log.warning("the relay does not hear what others do to its keys: %s", error)
            except Exception:  # noqa: BLE001  a defect here must not end the following
                _log.exception("the relay does not hear what others do to its keys")
            following = False
            self._stopping.wait(COMPARED_SECONDS)

    def _step(self) -> None:
        epoch = self._feed.catch_up(self._region)
        acknowledged, at = self._acknowledged
        now = time.monotonic()
        if epoch == acknowledged and now - at < SEEN_EVERY_SECONDS:
            return
        with self._database.write() as tx:
            known = relays.acknowledge(tx, self._feed.relay_id, epoch)
        if not known:  # the database was put back, or the row forgotten
            self._register()
            return  # and once more: what was changed before the row was there, nobody waited for
        self._acknowledged = (epoch, now)

    def _register(self) -> None:
        with self._database.write() as tx:
            relays.register(tx, self._feed.relay_id, self._region, self.name)
        _log.info("registered as a relay", extra=fields(relay=self.name, region=self._region))
