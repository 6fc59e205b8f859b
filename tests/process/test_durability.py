"""`kill -9` of `aditus serve`: what it answered is never forgotten, and agents come back by themselves."""

import base64
import http.client
import itertools
import os
import shutil
import sqlite3
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aditus.client.rest import Client
from aditus.crypto.proof import KeySigner
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import KeyState
from aditus.wire.frames import SUBPROTOCOL
from tests.process.programs import (
    CAPABILITY,
    PATIENCE,
    Key,
    Server,
    Service,
    exactly,
    get,
    is_reset,
    together,
)

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a server in several seconds

FULL = os.environ.get("FULL") == "1"
MANY = 200 if FULL else 30
ROUNDS = [3, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(3000 if FULL else 600)])]
BURST_KILLS = [1, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
WORKERS = 4
ANSWERS_BEFORE_KILL = 40


def is_sound(data: Path, scratch: Path) -> bool:
    """Whether what a killed server left is a whole database. Looks at a copy: it is the server's to mend."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(data, scratch)
    with closing(sqlite3.connect(scratch / "aditus.db")) as database:
        found: list[tuple[str]] = database.execute("PRAGMA integrity_check").fetchall()
    return found == [("ok",)]


def knock(server: Server, key: Key) -> tuple[int, str]:
    """What the relay answers to the upgrade of an agent with this key: the status, and why not."""
    url = ConnectUrl.parse(key.url)
    bearer = KeySigner(parse_access_key(key.secret.reveal())).bearer(url.audience, time.time())
    context = ssl.create_default_context(cafile=server.ca_file)
    asking = http.client.HTTPSConnection(url.host, server.relay_port, timeout=PATIENCE, context=context)
    headers = {
        "Authorization": f"Bearer {bearer}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
    }
    with closing(asking):
        asking.request("GET", url.path, headers=headers)
        with asking.getresponse() as answer:
            return answer.status, answer.headers.get("Aditus-Reason", "")


def status(server: Server, key: Key) -> int:
    """What a plain GET of the Connect URL answers: 401 while it is live, 404 when it is gone."""
    return get(key.url.replace("wss://", "https://"), server.ca_file)[0]


@dataclass
class Past:
    """A server, and what it has answered so far."""

    server: Server
    live: list[Key] = field(default_factory=list)
    dead: list[Key] = field(default_factory=list)
    head: str = ""  # of the audit chain, kept since the last round

    def create(self, client: Client, access_key_id: str) -> None:
        self.live.append(Key.of(client.generate_key(access_key_id, CAPABILITY)))

    def revoke(self, client: Client) -> None:
        key = self.live.pop(0)
        assert client.revoke_keys([key.access_key_id])[0].result == "revoked"
        self.dead.append(key)

    def is_remembered(self) -> None:
        """The server knows all of it, and acts on it."""
        with self.server.client() as client:
            states = {key.access_key_id: key.state for key in client.list_keys()}
            chain = client.verify_audit(self.head)
        assert chain.ok, chain
        self.head = str(chain.head)
        assert states == {key.access_key_id: KeyState.ACTIVE for key in self.live} | {
            key.access_key_id: KeyState.REVOKED for key in self.dead
        }
        for key in self.live:
            assert (status(self.server, key), knock(self.server, key)) == (401, (101, ""))
        for key in self.dead:
            assert (status(self.server, key), knock(self.server, key)) == (404, (403, "revoked"))


def killed_after_created(past: Past, rounds: int, scratch: Path) -> None:
    for number in range(rounds):
        with past.server.client() as client:
            past.create(client, f"key-{number}")
            past.server.kill()
        assert is_sound(past.server.data, scratch)
        past.server.start()
        past.is_remembered()


def killed_after_revoked(past: Past, rounds: int, scratch: Path) -> None:
    for number in range(rounds):
        with past.server.client() as client:
            past.create(client, f"key-{number}")
            past.create(client, f"other-{number}")
            assert knock(past.server, past.live[0]) == (101, "")
            past.revoke(client)
            past.server.kill()
        assert is_sound(past.server.data, scratch)
        past.server.start()
        past.is_remembered()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_what_was_answered_outlives_kill_9(
    data_folder: Callable[[], Path], tmp_path: Path, rounds: int
) -> None:
    """Two servers at once, as a start takes a second: one is killed after "created", one after "revoked"."""
    creating, revoking = Past(Server(data_folder())), Past(Server(data_folder()))
    with together(creating.server, revoking.server), ThreadPoolExecutor(2) as pool:
        ends = [
            pool.submit(killed_after_created, creating, rounds - rounds // 2, tmp_path / "created"),
            pool.submit(killed_after_revoked, revoking, rounds // 2, tmp_path / "revoked"),
        ]
        for end in ends:
            end.result()
        # What the relays answer to an upgrade is what agents make of it.
        with Service() as service, creating.server.agent(creating.live[0], service.spec) as agent:
            agent.err.wait("attached")
        with Service() as service, revoking.server.agent(revoking.dead[0], service.spec) as agent:
            assert agent.end() == 3


def test_an_agent_comes_back_by_itself(data_folder: Callable[[], Path]) -> None:
    with Server(data_folder()) as server, Service() as service:
        key = server.generate("steady")
        with server.agent(key, service.spec) as agent:
            agent.err.wait("attached")
            app, end = service.conversation()
            server.kill()
            assert is_reset(end)
            agent.err.wait("retry_in")
            seen = len(agent.err.lines)
            server.start()
            agent.err.wait("attached", after=seen)
            app, end = service.conversation()
            app.sendall(b"as before")
            assert exactly(end, 9) == b"as before"


@pytest.mark.parametrize("kills", BURST_KILLS)
def test_whatever_was_answered_in_a_burst_holds(
    data_folder: Callable[[], Path], tmp_path: Path, kills: int
) -> None:
    """Keys are made and revoked from all sides when the server is killed: no answer was given too early."""
    created: dict[str, Key] = {}
    asked_to_revoke: set[str] = set()
    revoked: set[str] = set()

    def work(client: Client, worker: str, answers: threading.Semaphore) -> None:
        for number in itertools.count():
            name = f"{worker}-{number}"
            created[name] = Key.of(client.generate_key(name, CAPABILITY))
            answers.release()
            asked_to_revoke.add(name)
            client.revoke_keys([name])
            revoked.add(name)
            answers.release()

    def work_until_killed(worker: str, answers: threading.Semaphore) -> Code:
        with server.client() as client, pytest.raises(AditusError) as gone:
            work(client, worker, answers)
        return gone.value.code

    with Server(data_folder()) as server:
        for kill in range(kills):
            answers = threading.Semaphore(0)
            with ThreadPoolExecutor(WORKERS) as pool:
                ends = [
                    pool.submit(work_until_killed, f"key-{kill}-{worker}", answers)
                    for worker in range(WORKERS)
                ]
                for _ in range(ANSWERS_BEFORE_KILL):
                    assert answers.acquire(timeout=PATIENCE)
                server.kill()
            assert {end.result() for end in ends} == {Code.UNAVAILABLE}
            assert is_sound(server.data, tmp_path / "copy")
            server.start()
        with server.client() as client:
            states = {key.access_key_id: key.state for key in client.list_keys()}
            assert client.verify_audit().ok
            assert created.keys() <= states.keys()
            assert {states[name] for name in revoked} == {KeyState.REVOKED}
            assert all(states[name] is KeyState.ACTIVE for name in created.keys() - asked_to_revoke)
            # Of what nobody had an answer about, all or nothing is there: it can be revoked as any key.
            unsure = [name for name, state in states.items() if state is KeyState.ACTIVE]
            for result in client.revoke_keys(unsure) if unsure else ():
                assert result.result == "revoked"
        for name in sorted(revoked)[:: max(1, len(revoked) // 10)]:
            assert status(server, created[name]) == 404
            assert knock(server, created[name]) == (403, "revoked")
