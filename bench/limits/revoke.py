"""Keys with live agents and streams, all revoked by one request: from the commit to the cut of each key."""

import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from bench.limits import ends, swarm
from bench.limits.ends import Behave
from bench.limits.row import Goal, Row, percentiles
from bench.limits.serving import Serving
from bench.programs import PATIENCE, Broken, Place

NAME = "revoke"
STREAMS_EACH = 4
GOALS = (Goal("p99", "≤", 100.0), Goal("last", "≤", 500.0))
QUERY = "SELECT sum(epoch) FROM regions"


def measure(place: Place, *, full: bool) -> Iterator[Row]:
    """Milliseconds, by key: what the receipt says, and when the last of its streams' ends saw the reset."""
    keys = 500 if full else 50
    streams = keys * STREAMS_EACH
    serving = Serving(place)
    with (
        ends.child("apps") as apps,
        ends.child("service") as service,
        swarm.child("agents") as agents,
        serving.client() as client,
    ):
        names, ports, members = serving.members(keys, 1, service.ask("listen"))
        agents.ask("start", serving.ca_file, members)
        swarm.wait_attached([agents], keys)
        every_port = [port for port in ports for _ in range(STREAMS_EACH)]
        apps.ask("connect", every_port, 0, Behave.READ, Behave.READ)
        service.wait_until("streams", streams)
        with _Commit(serving.database) as commit:
            asked = time.monotonic()
            results = client.revoke_keys(names)
            answered = time.monotonic()
        told = [result.cut.milliseconds for result in results if result.cut is not None]
        cut = sum(result.cut.streams for result in results if result.cut is not None)
        if (len(told), cut) != (keys, streams):
            raise Broken(f"{len(told)} keys and {cut} streams were cut, and not {keys} and {streams}")
        for child in (apps, service):
            child.wait_until("streams", 0)
        note = (
            f"{keys} keys, {streams} streams; the request took {1_000 * (answered - asked):.0f} ms, "
            f"{1_000 * (commit.at - asked):.0f} ms of them to the commit"
        )
        yield Row(NAME, "commit to cut, as the receipt says", "ms", percentiles(told), GOALS, note)
        for child, who in ((apps, "apps"), (service, "the service")):
            seen = _by_key(child.ask("resets"), commit.at)
            if len(seen) != keys:
                raise Broken(f"{who}: resets were seen for {len(seen)} of {keys} keys")
            yield Row(NAME, f"commit to reset, as {who} saw it", "ms", percentiles(seen), GOALS)


def _by_key(resets: Mapping[int, float], commit: float) -> list[float]:
    """The milliseconds of each key's last reset."""
    last: dict[int, float] = defaultdict(float)
    for number, moment in resets.items():
        key = number // STREAMS_EACH
        last[key] = max(last[key], 1_000 * (moment - commit))
    return list(last.values())


class _Commit:
    """Sees the next change of a key as any reader of the database does, to a fraction of a millisecond."""

    LOOK_EVERY = 0.0002

    def __init__(self, database: Path) -> None:
        self._database = database
        self._at = 0.0
        self._looks = threading.Event()
        self._thread = threading.Thread(target=self._look, name="commit")

    @property
    def at(self) -> float:
        """When it was (monotonic seconds)."""
        self._thread.join(PATIENCE)
        if not self._at:
            raise Broken("the commit was not seen")
        return self._at

    def __enter__(self) -> "_Commit":
        self._thread.start()
        self._looks.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(PATIENCE)

    def _look(self) -> None:
        with closing(
            sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, isolation_level=None)
        ) as base:
            before = base.execute(QUERY).fetchone()
            self._looks.set()
            until = time.monotonic() + PATIENCE
            while base.execute(QUERY).fetchone() == before:
                if time.monotonic() > until:
                    return
                time.sleep(self.LOOK_EVERY)
            self._at = time.monotonic()
