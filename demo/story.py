"""The demo, step by step: what a person sees, and what has to hold for it to go on."""

import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.live import Live
from rich.table import Table

from aditus.client.rest import Client
from aditus.domain.keytext import mask
from aditus.domain.model import RevokeResult
from demo.postgres import PostgresServer, free_port
from demo.stage import Process, StepFailed, aditus, shown, unbroken, wait_for

ROWS = 5_000
ORDERS = """
    CREATE TABLE orders AS
    SELECT n AS id, 'customer ' || n % 97 AS customer, (n * 7919 % 100000) / 100.0 AS amount
    FROM generate_series(1, 5000) AS n
"""
WORKERS = 4
WORK_SECONDS = 4.0  # for people to watch; 1 where nobody does
KEY_ID = "demo-key"
APP = "reports"


@dataclass(slots=True)
class Ports:
    """Where everything listens, all on 127.0.0.1 and all free a moment ago."""

    api: int
    relay: int
    app: int
    local: int

    @classmethod
    def choose(cls) -> "Ports":
        found: set[int] = set()
        while len(found) < 4:
            found.add(free_port())
        return cls(*found)


class Story:
    """Tells the steps on `console`. With `keep` it stops before the revoke, for people to play."""

    def __init__(self, console: Console, *, keep: bool) -> None:
        self._console = console
        self._keep = keep
        self._ports = Ports.choose()
        self._step = 0

    def tell(self) -> None:
        """The whole story. Raises `StepFailed` at the first step that does not hold."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="aditus-demo-")))
            self._serve(folder, stack)
            database = self._database(stack)
            secret_file, url = self._key(folder)
            app_secret = self._app(folder)
            agent = self._agent(folder, database, secret_file, url, stack)
            sidecar = self._sidecar(app_secret, stack)
            self._query(database)
            self._watch(database)
            if self._keep:
                self._play(folder, database)
                return
            self._revoke(database, url, agent)
            self._after(url, agent, sidecar)

    # --- the steps -----------------------------------------------------------------------------

    def _serve(self, folder: Path, stack: ExitStack) -> None:
        self._say("Start Aditus", "Control plane, relay and SQLite in one process, from an empty folder.")
        data = folder / "aditus"
        command = aditus(
            *("serve", "--data", str(data)),
            *("--api-listen", f"127.0.0.1:{self._ports.api}"),
            *("--relay-listen", f"127.0.0.1:{self._ports.relay}"),
            *("--metrics-listen", "off"),
        )
        self._command(command)
        server = self._start("aditus serve", command, stack)
        server.wait_said("aditus keys generate")
        self._data = data
        self._token = (data / "owner.token").read_text().strip()
        self._api = f"http://127.0.0.1:{self._ports.api}"
        self._client = Client(self._api, self._token)
        stack.callback(self._client.close)
        self._held(f"it made its database, a development CA and an owner, and listens (process {server.pid})")

    def _database(self, stack: ExitStack) -> PostgresServer:
        self._say(
            "The on-premises database", "A real PostgreSQL, on a port that no app in the cloud can reach."
        )
        database = PostgresServer({"fsync": "off"})
        with unbroken():
            stack.enter_context(database)
        with psycopg.connect(database.url()) as connection:
            connection.execute(ORDERS)
            version = connection.execute("SHOW server_version").fetchone()
        self._held(
            f"PostgreSQL {version[0] if version else '?'} with {ROWS:,} orders, at 127.0.0.1:{database.port}"
        )
        return database

    def _key(self, folder: Path) -> tuple[Path, str]:
        self._say(
            "Generate an access key",
            "Its secret is an Ed25519 private key, shown this once; the server keeps the public key alone.",
        )
        answer = self._run("keys", "generate", KEY_ID, "--capability", "integration", "-o", "json")
        secret, url = answer["secret_access_key"], answer["connect_url"]
        self._held(f"secret {mask(secret)}")
        self._held(f"Connect URL {url}")
        return _written(folder / "demo.key", secret), url

    def _app(self, folder: Path) -> Path:
        self._say(
            "Associate an app with it",
            "An app has at most one key, of its own capability, and a credential of its own.",
        )
        self._run("apps", "create", APP, "--capability", "integration", "-o", "json")
        app = self._run("apps", "associate", APP, KEY_ID, "-o", "json")
        self._expect(app["access_key_id"] == KEY_ID, f"{APP} is associated with {app['access_key_id']}")
        secret = self._run("apps", "credential", APP, "-o", "json")["app_secret"]
        self._held(f"credential {mask(secret)}")
        return _written(folder / "app.secret", secret)

    def _agent(
        self, folder: Path, database: PostgresServer, secret_file: Path, url: str, stack: ExitStack
    ) -> Process:
        self._say(
            "Start the agent",
            "It runs beside the database, dials out over WSS, and opens no port to the outside.",
        )
        command = aditus(
            *("connect", "--access-key-file", str(secret_file)),
            *("--ca-file", str(self._data / "ca.pem")),
            *("--health-listen", "off"),
            *("-s", f"{self._ports.app}:127.0.0.1:{database.port}", url),
        )
        self._command(command)
        agent = self._start("aditus connect", command, stack)
        agent.wait_said("attached")
        tunnel = self._client.tunnels()[0]
        self._expect(
            [port.port for port in tunnel.ports if port.accepted] == [self._ports.app],
            f"it is attached from {tunnel.peer} and serves app port {self._ports.app} (process {agent.pid})",
        )
        return agent

    def _sidecar(self, secret_file: Path, stack: ExitStack) -> Process:
        self._say(
            "Start the app's sidecar",
            "It runs beside the app, dials out as well, and leads it to what its key's agents offer.",
        )
        command = aditus(
            *("sidecar", "--app", APP, "--secret-file", str(secret_file)),
            *("--relay", f"wss://localhost:{self._ports.relay}"),
            *("--ca-file", str(self._data / "ca.pem")),
            *("--health-listen", "off"),
            *("-p", f"{self._ports.local}:{self._ports.app}"),
        )
        self._command(command)
        sidecar = self._start("aditus sidecar", command, stack)
        sidecar.wait_said("listening")
        self._held(
            f"127.0.0.1:{self._ports.local} leads to app port {self._ports.app} (process {sidecar.pid})"
        )
        return sidecar

    def _query(self, database: PostgresServer) -> None:
        self._say(
            "Run SQL through the tunnel",
            f"psycopg connects to 127.0.0.1:{self._ports.local}, at the sidecar.",
        )
        query = "SELECT count(*), round(sum(amount), 2) FROM orders"
        with psycopg.connect(self._through(database)) as tunnelled, psycopg.connect(database.url()) as direct:
            got, expected = tunnelled.execute(query).fetchone(), direct.execute(query).fetchone()
        self._console.print(f"     [dim]{query}[/dim]", highlight=False)
        self._expect(
            got == expected and got is not None,
            f"{got[0] if got else 0:,} orders worth {got[1] if got else 0}, as at the database itself",
        )

    def _watch(self, database: PostgresServer) -> None:
        seconds = WORK_SECONDS if self._console.is_terminal else 1.0
        self._say("Watch it live", f"{WORKERS} connections read the orders for {seconds:.0f} s.")
        until = time.monotonic() + seconds
        counts = [0] * WORKERS

        def read(worker: int) -> None:
            with psycopg.connect(self._through(database)) as connection:
                while time.monotonic() < until:
                    counts[worker] += len(connection.execute("SELECT * FROM orders").fetchall())

        workers = [threading.Thread(target=read, args=(number,)) for number in range(WORKERS)]
        for worker in workers:
            worker.start()
        with Live(self._table(), console=self._console, auto_refresh=False) as live:
            while time.monotonic() < until - 0.2:
                live.update(self._table(), refresh=self._console.is_terminal)
                time.sleep(0.2)
        self._console.print()
        for worker in workers:
            worker.join()
        self._expect(min(counts) >= ROWS, f"{sum(counts):,} rows came through")

    def _play(self, folder: Path, database: PostgresServer) -> None:
        self._say("Play", "Everything stays up until you press Ctrl-C. In another terminal:")
        lines = (
            f"export ADITUS_API={self._api} ADITUS_TOKEN=$(cat {self._data / 'owner.token'})",
            f"export PATH={Path(aditus()[0]).parent}:$PATH",
            f"psql '{self._through(database)}'      # or any other client",
            "aditus tunnels list",
            f"aditus keys revoke {KEY_ID}",
        )
        for line in lines:
            self._console.print(f"     {line}", highlight=False, soft_wrap=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self._console.print("\n[dim]Stopping everything.[/dim]")

    def _revoke(self, database: PostgresServer, url: str, agent: Process) -> None:
        self._say(
            "Revoke the key while a query streams",
            "One call. The app's SQL connection must die, in the middle of a row if need be.",
        )
        with ExitStack() as stack:
            app = self._start("the app", [sys.executable, "-m", "demo.app", self._through(database)], stack)
            wait_for(lambda: len(app.lines) >= 3 or app.exit_code is not None, "rows of the streaming query")
            self._console.print(f"     [dim]$ aditus keys revoke {KEY_ID} --yes[/dim]", highlight=False)
            asked = time.monotonic()
            result = self._client.revoke_keys([KEY_ID])[0]
            answered = time.monotonic()
            app.wait()
        last = json.loads(app.lines[-1])
        self._expect(bool(last["error"]), f"the query died after {last['rows']:,} rows: {last['error']}")
        self._expect(last["at"] > asked, "and not before it was asked for")
        self._receipt(result, (last["at"] - asked) * 1000, (answered - asked) * 1000)

    def _receipt(self, result: RevokeResult, seen: float, answered: float) -> None:
        if result.cut is None:
            raise StepFailed("the revoke answered without a receipt")
        self._expect(
            result.cut.streams >= 1 and result.cut.tunnels == 1,
            f"cut {result.cut.streams} stream(s) and {result.cut.tunnels} tunnel(s)"
            f" [bold]{result.cut.milliseconds:.1f} ms[/bold] after the commit",
        )
        self._held(
            f"the app saw its connection reset [bold]{seen:.1f} ms[/bold] after asking;"
            f" the answer came after {answered:.1f} ms, when all was cut"
        )

    def _after(self, url: str, agent: Process, sidecar: Process) -> None:
        self._say(
            "What is left", "Nothing that opens a door, and everything that an administrator wants to know."
        )
        status = _get(url.replace("wss://", "https://"), self._data / "ca.pem")
        self._expect(status == 404, f"the Connect URL answers {status}")
        code = agent.wait()
        why = next((line for line in reversed(agent.lines) if line.startswith("aditus:")), "")
        self._expect(code == 3 and "revoked" in why, f"the agent ended with exit code {code}: {why}")
        self._expect(
            not _listens(self._ports.local) and sidecar.exit_code is None,
            "the sidecar has closed its local port, and waits for the next key",
        )
        app = self._run("apps", "show", APP, "-o", "json")["app"]
        self._expect(
            app["access_key_id"] == KEY_ID and app["key_state"] == "revoked",
            f"{APP} is still associated with {KEY_ID}, marked {app['key_state']}, until somebody removes it",
        )
        gone = self._run("apps", "dissociate", APP, "-o", "json")
        self._expect(not gone["access_key_id"], f"now it is removed: {APP} has no key")

    # --- how it is told ------------------------------------------------------------------------

    def _say(self, title: str, meaning: str) -> None:
        self._step += 1
        self._console.print(f"\n[bold cyan]{self._step:2}  {title}[/bold cyan]", highlight=False)
        self._console.print(f"     {meaning}", highlight=False)

    def _held(self, what: str) -> None:
        self._console.print(f"  [green]✓[/green]  {what}", highlight=False, soft_wrap=True)

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise StepFailed(f"it does not hold that {what}")
        self._held(what)

    def _command(self, command: list[str]) -> None:
        self._console.print(f"     [dim]$ {shown(command)}[/dim]", highlight=False, soft_wrap=True)

    def _start(self, name: str, command: list[str], stack: ExitStack) -> Process:
        with unbroken():
            process = Process(name, command, {})
            stack.callback(process.stop)
        return process

    def _run(self, *words: str) -> dict[str, Any]:
        """Run an `aditus` command as a person would, and read its JSON."""
        command = aditus(*words)
        self._command(command)
        environment = {"ADITUS_API": self._api, "ADITUS_TOKEN": self._token}
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StepFailed(
                f"{shown(command)} ended with exit code {done.returncode}: {done.stderr.strip()}"
            )
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def _through(self, database: PostgresServer) -> str:
        return f"postgresql://{database.user}:{database.password}@127.0.0.1:{self._ports.local}/postgres"

    def _table(self) -> Table:
        table = Table(box=None, padding=(0, 3, 0, 0), show_edge=False)
        for column in ("     key", "agent", "app port"):
            table.add_column(column, no_wrap=True)
        for column in ("streams", "from apps", "to apps", "round trip"):
            table.add_column(column, justify="right", no_wrap=True)
        for tunnel in self._client.tunnels():
            table.add_row(
                f"     {tunnel.access_key_id}",
                tunnel.agent_host,
                " ".join(str(port.port) for port in tunnel.ports),
                str(tunnel.streams),
                f"{tunnel.bytes_in / 1e3:,.0f} kB",
                f"{tunnel.bytes_out / 1e6:,.1f} MB",
                f"{tunnel.rtt_ms:.2f} ms" if tunnel.rtt_ms else "",
            )
        return table


def _written(file: Path, secret: str) -> Path:
    """A new file with this secret, for its user alone."""
    file.touch(mode=0o600)
    file.write_text(secret)
    return file


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
    except ConnectionRefusedError:
        return False
    return True


def _get(url: str, ca_file: Path) -> int:
    """The status of a plain GET, verified against the development CA."""
    context = ssl.create_default_context(cafile=ca_file)
    try:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:  # noqa: S310  https it is
            status: int = answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    return status
