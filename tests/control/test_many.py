"""Several control planes over one PostgreSQL: each keeps its relay at the region's epoch."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from sqlalchemy import select, text, update

from aditus.control.service import services
from aditus.control.service.services import Services
from aditus.domain.errors import AditusError
from aditus.domain.model import AccessKey, Cut, KeyState
from aditus.domain.relays import CredentialUse, KeyChanges, RelayReport
from aditus.store import schema
from aditus.store.database import Database, open_database
from aditus.wiring.follower import Follower
from demo.postgres import PostgresServer
from tests.control_plane import CAPABILITY, REGION, START, Clock, ControlPlane, Relays

PATIENCE = 30.0


@dataclass
class HeardRelays(Relays):
    """Relays that let a test wait until they were told."""

    changed: threading.Condition = field(default_factory=threading.Condition)

    def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
        with self.changed:
            cuts = super().keys_changed(changes, committed_at)
            self.changed.notify_all()
        return cuts

    def heard(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, seconds)

    def knows(self, key: AccessKey) -> bool:
        return key.key_id in self.known

    def state(self, key: AccessKey) -> KeyState | None:
        known = self.known.get(key.key_id)
        return known.state if known else None


class Serve:
    """What of `aditus serve` matters here: a control plane over a database that it shares."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.database = open_database(url)
        self.relays = HeardRelays(clock)
        self.services: Services = services.build(self.database, self.relays, clock)
        self.follower = Follower(self.database, self.services.feed, REGION)

    @property
    def relay_id(self) -> str:
        return self.services.feed.relay_id

    def end(self) -> None:
        self.follower.stop()
        self.database.close()


class Many:
    """One control plane, which makes the keys, and others beside it."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        database = open_database(url)
        stack.callback(database.close)
        self.plane = ControlPlane(database)
        self.owner = self.plane.owner

    def serve(self, *, follow: bool = True) -> Serve:
        serve = Serve(self._url, self.plane.clock)
        self._stack.callback(serve.end)
        serve.follower.join()
        if follow:
            serve.follower.start()
        return serve

    def rows(self) -> dict[str, int]:
        """By relay_id, the acknowledged epochs."""
        with self.plane.database.read() as tx:
            return {row.relay_id: row.epoch for row in tx.execute(select(schema.relays))}


@contextmanager
def many_on(url: str) -> Iterator[Many]:
    with ExitStack() as stack:
        yield Many(url, stack)


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    return postgres.create_database(f"many_{uuid.uuid4().hex}")


@pytest.fixture
def many(url: str) -> Iterator[Many]:
    with many_on(url) as many:
        yield many


def eventually(condition: Callable[[], bool], what: str) -> None:
    """Wait for what no event of this process tells of."""
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"did not happen: {what}"
        time.sleep(0.01)


def test_a_revoke_is_answered_when_the_others_have_cut(many: Many) -> None:
    here, there = many.serve(), many.serve()
    key = here.services.keys.generate(many.owner, "0", REGION, "berlin", CAPABILITY).key
    assert there.relays.state(key) is KeyState.ACTIVE  # an agent may dial there at once
    there.relays.attach(key, 5432, streams=2)
    started = time.monotonic()
    [result] = here.services.keys.revoke(many.owner, "0", REGION, ["berlin"])
    assert time.monotonic() - started < PATIENCE
    assert (there.relays.state(key), there.relays.live) == (KeyState.REVOKED, [])
    assert result.pending_relays == ()
    assert result.cut == Cut(key.key_id, 0, 0)  # the receipt counts what was cut here
    suspended = here.services.keys.generate(many.owner, "0", REGION, "rome", CAPABILITY).key
    assert there.services.keys.suspend(many.owner, "0", REGION, "rome").pending_relays == ()
    assert here.relays.state(suspended) is KeyState.SUSPENDED


def test_who_does_not_follow_is_waited_for_a_second_and_named(many: Many) -> None:
    here, deaf = many.serve(), many.serve(follow=False)
    key = many.plane.generate("berlin")
    assert here.relays.heard(lambda: here.relays.state(key) is not None)
    started = time.monotonic()
    [result] = here.services.keys.revoke(many.owner, "0", REGION, ["berlin"])
    assert time.monotonic() - started >= 1.0
    assert result.pending_relays == (deaf.follower.name,)
    assert here.relays.state(key) is KeyState.REVOKED
    # Again asks again, and a relay that was not seen for half a minute is taken for gone.
    with many.plane.database.write() as tx:
        tx.execute(
            update(schema.relays)
            .where(schema.relays.c.relay_id == deaf.relay_id)
            .values(seen_at=schema.relays.c.seen_at - 31)
        )
    [result] = here.services.keys.revoke(many.owner, "0", REGION, ["berlin"])
    assert (result.result, result.pending_relays) == ("already-revoked", ())


def test_others_go_on_while_somebody_waits_for_a_deaf_relay(many: Many) -> None:
    here, _ = many.serve(), many.serve(follow=False)
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        for made in [
            pool.submit(here.services.keys.generate, many.owner, "0", REGION, f"key {number}", CAPABILITY)
            for number in range(8)
        ]:
            made.result()
    assert time.monotonic() - started < 4  # one after the other it would be eight seconds and more


def test_a_dissociation_is_answered_when_the_others_know_or_names_them(many: Many) -> None:
    here, there = many.serve(), many.serve()
    many.plane.services.apps.create(many.owner, "0", "shop", CAPABILITY)
    many.plane.generate("berlin")
    made = here.services.credentials.create(many.owner, "0", "shop").credential
    here.services.apps.associate(many.owner, "0", "shop", "berlin")
    (app,) = there.relays.told[-1].apps
    assert (app.app_id, bool(app.key_id)) == (made.app_id, True)
    assert here.services.apps.dissociate(many.owner, "0", "shop").pending_relays == ()
    assert there.relays.told[-1].apps[0].key_id == ""
    deaf = many.serve(follow=False)
    revoked = here.services.credentials.revoke(many.owner, "0", "shop", made.credential_id)
    assert revoked.pending_relays == (deaf.follower.name,)
    assert there.relays.told[-1].apps[0].credentials[0].revoked


def test_of_8_at_once_at_two_servers_one_has_the_second_place(many: Many) -> None:
    serves = (many.serve(), many.serve())
    app_id = many.plane.services.apps.create(many.owner, "0", "shop", CAPABILITY).app_id
    first = many.plane.services.credentials.create(many.owner, "0", "shop").credential
    together = threading.Barrier(8)

    def create(number: int) -> str:
        together.wait()
        try:
            made = serves[number % 2].services.credentials.create(many.owner, "0", "shop")
        except AditusError as error:
            return error.reason
        return made.credential.credential_id

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    assert outcomes.count("too-many-credentials") == 7
    (second,) = set(outcomes) - {"too-many-credentials"}
    for serve in serves:
        (app,) = [app for changes in serve.relays.told for app in changes.apps if app.app_id == app_id][-1:]
        assert {one.credential_id for one in app.credentials} == {first.credential_id, second}


def test_a_follower_that_lost_the_database_catches_up_with_apps(many: Many) -> None:
    serve = many.serve()
    use = many.plane.services
    eventually(lambda: len(listening(many)) == 1, "it listens")
    for name in ("shop", "bank"):
        many.plane.generate(name)
        use.apps.create(many.owner, "0", name, CAPABILITY)
        killed = listening(many)
        lose_connections(many)
        made = use.credentials.create(many.owner, "0", name).credential
        use.apps.associate(many.owner, "0", name, name)
        use.credentials.revoke(many.owner, "0", name, made.credential_id)
        deleted = name == "bank"
        if deleted:
            use.apps.delete(many.owner, "0", name)
        known = RelayCredentials(made.app_id, {made.credential_id: True}, has_key=not deleted)
        assert serve.relays.heard(partial(knows_app, serve, known))
        eventually(partial(listens_anew, many, killed), "it listens again")


@dataclass(frozen=True)
class RelayCredentials:
    """What a relay should know of an app in the end; by credential_id, whether it is revoked."""

    app_id: str
    revoked: dict[str, bool]
    has_key: bool


def knows_app(serve: Serve, wanted: RelayCredentials) -> bool:
    told = [app for changes in serve.relays.told for app in changes.apps if app.app_id == wanted.app_id]
    return bool(told) and wanted == RelayCredentials(
        told[-1].app_id,
        {one.credential_id: one.revoked for one in told[-1].credentials},
        bool(told[-1].key_id),
    )


def lose_connections(many: Many) -> None:
    """End all connections to the database but the one that says so."""
    with many.plane.database.write() as tx:
        tx.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_a_change_tells_what_others_changed_before_it(many: Many) -> None:
    """Else the relay would be at the newer epoch, and never hear of the older change."""
    here, there = many.serve(follow=False), many.serve(follow=False)
    old = there.services.keys.generate(many.owner, "0", REGION, "old", CAPABILITY).key
    new = here.services.keys.generate(many.owner, "0", REGION, "new", CAPABILITY).key
    [changes] = here.relays.told[1:]
    assert (changes.epoch, {key.key_id for key in changes.keys}) == (2, {old.key_id, new.key_id})
    assert here.services.feed.catch_up(REGION) == 2
    assert len(here.relays.told) == 2  # nothing was left to tell
    assert there.services.feed.catch_up(REGION) == 2
    assert {key.key_id for key in there.relays.told[-1].keys} == {new.key_id}


def test_what_was_read_before_a_revoke_is_not_told_after_it(many: Many) -> None:
    """The follower reads and tells in the same turn as changes do."""
    key = many.plane.generate("berlin")
    told: list[KeyState] = []
    revoking = threading.Event()

    class SlowRelays(HeardRelays):
        def keys_changed(self, changes: KeyChanges, committed_at: float) -> Sequence[Cut]:
            for changed in changes.keys:
                if changed.state is KeyState.ACTIVE:
                    revoker.start()
                    revoking.wait(0.3)  # time enough for the revoke to come first, were it let
                told.append(changed.state)
            return super().keys_changed(changes, committed_at)

    slow = SlowRelays(many.plane.clock)
    here = services.build(many.plane.database, slow, many.plane.clock)

    def revoke() -> None:
        here.keys.revoke(many.owner, "0", REGION, ["berlin"])
        revoking.set()

    revoker = threading.Thread(target=revoke)
    here.feed.catch_up(REGION)
    revoker.join()
    assert told == [KeyState.ACTIVE, KeyState.REVOKED]
    assert slow.state(key) is KeyState.REVOKED


def test_who_stops_is_waited_for_no_more(many: Many) -> None:
    here, there = many.serve(), many.serve()
    many.plane.generate("berlin")
    assert set(many.rows()) == {here.relay_id, there.relay_id}
    there.follower.stop()
    assert set(many.rows()) == {here.relay_id}
    assert here.services.keys.revoke(many.owner, "0", REGION, ["berlin"])[0].pending_relays == ()


def test_a_follower_outlives_its_connections(many: Many) -> None:
    serve = many.serve()
    eventually(lambda: len(listening(many)) == 1, "it listens")
    for name in ("one", "two"):
        killed = listening(many)
        lose_connections(many)
        key = many.plane.generate(name)
        assert serve.relays.heard(partial(serve.relays.knows, key))
        eventually(partial(listens_anew, many, killed), "it listens again")
    eventually(lambda: many.rows() == {serve.relay_id: 2}, "it acknowledges")


def listening(many: Many) -> set[int]:
    """The backends whose last word was LISTEN."""
    with many.plane.database.read() as tx:
        found = tx.execute(
            text(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        )
        return set(found.scalars())


def listens_anew(many: Many, before: set[int]) -> bool:
    now = listening(many)
    return len(now) == 1 and now != before


def test_a_relay_whose_row_was_lost_registers_again(many: Many) -> None:
    serve = many.serve()
    with many.plane.database.write() as tx:
        tx.execute(schema.relays.delete())
    many.plane.generate("berlin")
    eventually(lambda: many.rows() == {serve.relay_id: 1}, "it acknowledges")


def test_a_database_that_went_back_is_read_anew(many: Many) -> None:
    serve = many.serve(follow=False)
    key = many.plane.generate("berlin")
    many.plane.generate("rome")
    assert serve.services.feed.catch_up(REGION) == 2
    with many.plane.database.write() as tx:
        tx.execute(update(schema.access_keys).values(epoch=1, state="suspended"))
        tx.execute(update(schema.regions).values(epoch=1))
    assert serve.services.feed.catch_up(REGION) == 1
    assert serve.relays.state(key) is KeyState.SUSPENDED


def test_of_64_at_once_at_two_servers_one_has_the_last_free_place(many: Many) -> None:
    many.plane.fill(499)
    serves = (many.serve(), many.serve())
    together = threading.Barrier(64)

    def generate(number: int) -> str:
        together.wait()
        try:
            serves[number % 2].services.keys.generate(many.owner, "0", REGION, f"racer {number}", CAPABILITY)
        except AditusError as error:
            return error.reason
        return "generated"

    with ThreadPoolExecutor(64) as pool:
        outcomes = sorted(pool.map(generate, range(64)))
    assert outcomes == ["generated"] + ["key-quota"] * 63


@pytest.mark.parametrize("turns", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_mixed_work_at_two_servers_never_locks_itself_in(many: Many, turns: int) -> None:
    serves = (many.serve(), many.serve())
    many.plane.services.apps.create(many.owner, "0", "shop", CAPABILITY)

    def work(number: int) -> list[str]:
        use, name = serves[number % 2].services, f"key {number}"
        refused, own = [], [""]

        def report() -> RelayReport:
            return RelayReport(credential_uses=(CredentialUse(own[-1], START, "192.0.2.1", "1.0"),))

        for turn in range(turns):
            for step in (
                lambda: use.keys.generate(many.owner, "0", REGION, name, CAPABILITY),
                lambda: use.apps.associate(many.owner, "0", "shop", name),
                lambda: own.append(use.credentials.create(many.owner, "0", "shop").credential.credential_id),
                lambda: use.reports.take(REGION, report()),
                lambda turn=turn: use.keys.patch(many.owner, "0", REGION, name, {"description": f"{turn}"}),
                lambda: use.keys.suspend(many.owner, "0", REGION, name),
                lambda: use.apps.dissociate(many.owner, "0", "shop"),
                lambda: use.credentials.revoke(many.owner, "0", "shop", own[-1]),
                lambda: use.keys.revoke(many.owner, "0", REGION, [name, f"key {(number + 1) % 16}"]),
            ):
                try:
                    step()
                except AditusError as error:
                    refused.append(error.reason)
        return refused

    with ThreadPoolExecutor(16) as pool:
        reasons = {reason for refused in pool.map(work, range(16)) for reason in refused}
    assert reasons <= {"revoked", "not-found", "too-many-credentials"}  # a neighbour was faster
    with many.plane.database.read() as tx:
        deadlocks = tx.execute(
            text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        ).scalar_one()
    assert deadlocks == 0
    for serve in serves:
        assert serve.services.feed.catch_up(REGION) == max(serve.relays.told[-1].epoch, 1)
    assert {key: one.state for key, one in serves[0].relays.known.items()} == {
        key: one.state for key, one in serves[1].relays.known.items()
    }


def test_a_process_alone_with_its_file_has_nobody_to_follow(sqlite: Database) -> None:
    plane = ControlPlane(sqlite)
    follower = Follower(sqlite, plane.services.feed, REGION)
    follower.join()
    follower.start()
    plane.generate("berlin")
    assert plane.services.keys.revoke(plane.owner, "0", REGION, ["berlin"])[0].pending_relays == ()
    follower.stop()
    with sqlite.read() as tx:
        assert tx.execute(select(schema.relays)).all() == []
