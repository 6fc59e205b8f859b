"""Two `aditus serve` on one PostgreSQL, each with its own agents: what one revokes, the other cuts."""

import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from aditus.client.rest import Client
from aditus.store import schema
from aditus.store.database import Database, open_database
from demo.postgres import PostgresServer
from tests.databases import postgres
from tests.process.programs import (
    CAPABILITY,
    Key,
    Server,
    Service,
    exactly,
    is_reset,
    together,
    until,
)

__all__ = ["postgres"]

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a server in several seconds


@dataclass
class Two:
    """Both servers, and the database that they share. The owner's token is in one folder alone."""

    servers: tuple[Server, Server]
    database: Database

    @property
    def owner(self) -> Server:
        [owner] = [server for server in self.servers if (server.data / "owner.token").exists()]
        return owner

    def client(self, server: Server) -> Client:
        return Client(server.api_url, self.owner.token)

    def key(self, access_key_id: str) -> Key:
        with self.client(self.servers[0]) as client:
            return Key.of(client.generate_key(access_key_id, CAPABILITY))

    def at(self, server: Server, key: Key) -> Key:
        """The key, to be dialled at this server."""
        path = key.url.partition("/connect/")[2]
        return replace(key, url=f"wss://localhost:{server.relay_port}/connect/{path}")

    def relays(self) -> list[str]:
        with self.database.read() as tx:
            return list(tx.execute(select(schema.relays.c.name)).scalars())


def names(server: Server) -> str:
    """How receipts call it: host and process."""
    return f":{server.program.pid}"


@contextmanager
def started(folder: Path, postgres: PostgresServer) -> Iterator[Two]:
    """Started at the same moment, on an empty database."""
    url = postgres.create_database(f"two_{uuid.uuid4().hex}")
    url_file = folder / "url"
    url_file.write_text(url)
    first, second = Server(folder / "first"), Server(folder / "second")
    shared = f"wss://localhost:{first.relay_port}"
    common = ("--database-url-file", str(url_file), "--public-url", shared)
    first.words, second.words = common, (*common, "--public-url", f"wss://localhost:{second.relay_port}")
    with ExitStack() as stack:
        stack.enter_context(together(first, second))
        database = open_database(url)
        stack.callback(database.close)
        yield Two((first, second), database)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Two]:
    """For all tests that end neither of them; each uses keys of its own."""
    with started(tmp_path_factory.mktemp("two"), postgres) as two:
        yield two


@pytest.fixture
def own_two(tmp_path: Path, postgres: PostgresServer) -> Iterator[Two]:
    """For a test that ends one of them."""
    with started(tmp_path, postgres) as two:
        yield two


def test_what_one_revokes_the_other_cuts(two: Two) -> None:
    here = two.servers[0]
    assert len(two.relays()) == 2
    key = two.key("both")
    with ExitStack() as stack:
        streams = []
        for server in two.servers:
            service = stack.enter_context(Service())
            agent = stack.enter_context(server.agent(two.at(server, key), service.spec))
            agent.err.wait("attached")
            app, end = service.conversation()
            app.sendall(b"hello")
            assert exactly(end, 5) == b"hello"
            streams.append((agent, app))
        with two.client(here) as client:
            started = time.monotonic()
            [result] = client.revoke_keys(["both"])
            answered = time.monotonic() - started
        assert (result.result, result.pending_relays) == ("revoked", ())
        assert all(is_reset(app) for _, app in streams)
        cut = time.monotonic() - started
        assert [agent.end() for agent, _ in streams] == [3, 3]
    print(f"a revoke was answered after {answered:.3f} s, all streams cut after {cut:.3f} s")  # noqa: T201


def test_only_one_makes_the_owner_and_the_other_says_where_the_token_is(two: Two) -> None:
    owner = two.owner
    [other] = [server for server in two.servers if server is not owner]
    assert "password: " in owner.program.out.text
    assert other.program.out.text == ""
    assert "owner's token  not in" in other.program.err.text
    assert f"ADITUS_TOKEN=$(cat {owner.data / 'owner.token'})" in owner.program.err.text
    with two.database.read() as tx:
        assert len(tx.execute(select(schema.users)).all()) == 1
    with two.client(other) as client:
        assert client.list_keys() is not None  # the one token is good at both


def test_who_was_killed_is_waited_for_a_second_and_after_a_while_no_more(own_two: Two) -> None:
    here, there = own_two.servers
    own_two.key("one")
    own_two.key("two")
    there.kill()
    with own_two.client(here) as client:
        started = time.monotonic()
        [result] = client.revoke_keys(["one"])
        took = time.monotonic() - started
        assert [name.endswith(names(there)) for name in result.pending_relays] == [True]
        print(f"a revoke beside a killed server took {took:.2f} s")  # noqa: T201
        with own_two.database.write() as tx:  # half a minute, by the clock
            tx.execute(
                update(schema.relays)
                .where(schema.relays.c.name.endswith(names(there)))
                .values(seen_at=schema.relays.c.seen_at - 31)
            )
        [result] = client.revoke_keys(["two"])
        assert result.pending_relays == ()


def test_who_stops_in_order_leaves_the_list(own_two: Two) -> None:
    here, there = own_two.servers
    key = own_two.key("steady")
    assert there.program.end(signal.SIGTERM) == 0
    [left] = own_two.relays()
    assert left.endswith(names(here))
    with own_two.client(here) as client:
        assert client.revoke_keys([key.access_key_id])[0].pending_relays == ()


def test_lost_connections_to_the_database_cost_no_revoke(two: Two) -> None:
    here, there = two.servers
    key = two.key("steady")
    with Service() as service, there.agent(two.at(there, key), service.spec) as agent:
        agent.err.wait("attached")
        app, _ = service.conversation()
        with two.database.write() as tx:
            tx.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        with two.client(here) as client:
            until(lambda: client.revoke_keys(["steady"])[0].pending_relays == (), "all acknowledge")
        assert is_reset(app)
        assert agent.end() == 3
