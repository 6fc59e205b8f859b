"""Aditus's programs as real processes: started, listened to, signalled and killed, each by its process id.

    with Server(tmp_path / "data") as server:
        key = server.generate("plant-1")
        with Service() as service, server.agent(key, service.spec) as agent:
            agent.err.wait("attached")
            assert agent.end(signal.SIGTERM) == 0

Every wait is bounded by `PATIENCE` seconds and ends with the event that it waits for.
"""

import os
import pty
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from aditus.client.rest import Client
from aditus.config.proxy import EXCEPT_VARIABLES, VARIABLES
from aditus.domain.keytext import SecretText
from aditus.domain.model import NewAccessKey
from demo.postgres import free_port
from demo.stage import aditus

PATIENCE = 60.0
"""Seconds that a test waits for what must come; only a failing test waits for so long."""
LOOPBACK = "127.0.0.1"
CAPABILITY = "integration"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended, and all that it said."""

    code: int
    out: str
    err: str


class Heard:
    """What a program has written to one of its streams so far; `text` grows while it runs."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._bytes = bytearray()
        self._over = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, name="heard")
        self._reader.start()

    @property
    def text(self) -> str:
        with self._changed:
            return self._bytes.decode("utf-8", "replace")

    @property
    def lines(self) -> list[str]:
        """The whole lines."""
        return self.text.rpartition("\n")[0].splitlines()

    def wait(self, text: str, after: int = 0) -> str:
        """Wait for a line with this text in it, among those from number `after` on; the line."""

        def found() -> str | None:
            return next((line for line in self.lines[after:] if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._over, PATIENCE)
        line = found()
        assert line is not None, f"it did not say {text!r}, but:\n{self.text}"
        return line

    def join(self) -> None:
        """Wait for the end of the stream."""
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), "somebody still holds the output of a program that has ended"

    def _read(self) -> None:
        while chunk := self._chunk():
            with self._changed:
                self._bytes += chunk
                self._changed.notify_all()
        os.close(self._descriptor)
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _chunk(self) -> bytes:
        try:
            return os.read(self._descriptor, 65_536)
        except OSError:  # EIO: Linux's way of saying that nobody holds a terminal's other end any more
            return b""


class Program:
    """A program in the background. Its surroundings have nothing of Aditus's but what the test gives.

    `terminal`: it runs on a terminal, and all that it writes is in `out`. Else `out` and `err` are pipes.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        terminal: bool = False,
        stdin: str = "",
    ) -> None:
        env = surroundings() | dict(env or {})
        self.command = list(command)
        if terminal:
            ours, theirs = pty.openpty()
            self._process = subprocess.Popen(
                command, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
            )
            os.close(theirs)
            self.out = self.err = Heard(ours)
            return
        (out, their_out), (err, their_err), (their_in, in_) = os.pipe(), os.pipe(), os.pipe()
        self._process = subprocess.Popen(
            command, env=env, stdin=their_in, stdout=their_out, stderr=their_err, start_new_session=True
        )
        for descriptor in (their_in, their_out, their_err):
            os.close(descriptor)
        self.out, self.err = Heard(out), Heard(err)
        with os.fdopen(in_, "w") as typed, suppress(BrokenPipeError):  # it may end without reading
            typed.write(stdin)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals | None = None, seconds: float = PATIENCE) -> int:
        """Wait for its end, maybe after a signal; the exit code (negative: the signal that killed it)."""
        if number is not None:
            self.send(number)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it still runs after {seconds:g} s:\n{self.err.text}") from None
        self.out.join()
        self.err.join()
        return code

    def ended(self, seconds: float = PATIENCE) -> Ended:
        """Wait for its end by itself."""
        return Ended(self.end(seconds=seconds), self.out.text, self.err.text)

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self._process.wait(PATIENCE)
        self.out.join()
        self.err.join()

    def __enter__(self) -> "Program":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def surroundings() -> dict[str, str]:
    """The environment of a user who has never heard of Aditus, with an ordinary terminal."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ADITUS_")}
    for name in ("NO_COLOR", "PYTHONDONTWRITEBYTECODE"):  # the latter makes every start slow
        ours.pop(name, None)
    for name in (*VARIABLES, *EXCEPT_VARIABLES):
        ours.pop(name, None)
    return ours | {"HOME": "/nonexistent", "TERM": "xterm-256color"}


def run(*words: str, env: Mapping[str, str] | None = None, stdin: str = "") -> Ended:
    """Run `aditus` with these words to its end."""
    with Program(aditus(*words), env, stdin=stdin) as program:
        return program.ended()


class Server:
    """`aditus serve` on a folder, with ports that it keeps when it is started again. Starts at `with`."""

    def __init__(self, data: Path, *words: str, terminal: bool = False, api_host: str = LOOPBACK) -> None:
        self.data = data
        self.api_port, self.relay_port = free_port(), free_port()
        self.words = words
        self.api_host = api_host
        self.ca_file = data / "ca.pem"
        self.program: Program
        self._terminal = terminal

    @property
    def command(self) -> list[str]:
        metrics = () if "--metrics-listen" in self.words or self._terminal else ("--metrics-listen", "off")
        return aditus(
            *("serve", "--data", str(self.data)),
            *("--api-listen", f"{self.api_host}:{self.api_port}"),
            *("--relay-listen", f"{LOOPBACK}:{self.relay_port}"),
            *metrics,
            *self.words,
        )

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK}:{self.api_port}"

    @property
    def token(self) -> str:
        return (self.data / "owner.token").read_text().strip()

    def launch(self) -> None:
        """Start it, without waiting."""
        self.program = Program(self.command, terminal=self._terminal)

    def start(self) -> "Server":
        """Start it, again or for the first time, and wait until it serves."""
        self.launch()
        return self.wait()

    def wait(self) -> "Server":
        """Wait until it serves."""
        try:
            self.program.err.wait(" serving")
        except BaseException:
            self.program.kill()
            raise
        return self

    def kill(self) -> None:
        """`kill -9`, if it still runs."""
        self.program.kill()

    def client(self) -> Client:
        """The API, as its owner."""
        return Client(self.api_url, self.token)

    def generate(self, access_key_id: str) -> "Key":
        """A new key."""
        with self.client() as client:
            return Key.of(client.generate_key(access_key_id, CAPABILITY))

    def revoke(self, *keys: "Key") -> None:
        """Revoke keys."""
        with self.client() as client:
            client.revoke_keys([key.access_key_id for key in keys])

    def agent(self, key: "Key", *specs: str, words: Sequence[str] = (), terminal: bool = False) -> Program:
        """Start an agent of this key, which trusts this server."""
        return Program(self.agent_command(key, *specs, words=words), key.env, terminal=terminal)

    def agent_command(self, key: "Key", *specs: str, words: Sequence[str] = ()) -> list[str]:
        """Its command line. The secret comes from the environment."""
        health = () if "--health-listen" in words else ("--health-listen", "off")
        offers = [word for spec in specs for word in ("-s", spec)]
        return aditus("connect", "--ca-file", str(self.ca_file), *health, *words, *offers, key.url)

    def app(self, name: str, key: "Key | None" = None) -> "App":
        """A new app, associated with this key, and a credential of it."""
        with self.client() as client:
            client.create_app(name, CAPABILITY)
            if key is not None:
                client.associate(name, key.access_key_id)
            new = client.create_credential(name)
            return App(name, new.credential.credential_id, new.secret)

    def sidecar(self, app: "App", *words: str) -> Program:
        """Start a sidecar of this app, which trusts this server."""
        return Program(self.sidecar_command(app, *words), app.env)

    def sidecar_command(self, app: "App", *words: str) -> list[str]:
        """Its command line. The secret comes from the environment."""
        health = () if "--health-listen" in words else ("--health-listen", "off")
        relay = ("--relay", f"wss://localhost:{self.relay_port}", "--ca-file", str(self.ca_file))
        return aditus("sidecar", "--app", app.name, *relay, *health, *words)

    def attached(self) -> list[str]:
        """The access key ids of the live tunnels."""
        with self.client() as client:
            return [tunnel.access_key_id for tunnel in client.tunnels() if tunnel.ports]

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


@contextmanager
def together(*servers: Server) -> Iterator[None]:
    """Servers that run while the block does; they start at the same time."""
    with ExitStack() as stack:
        for server in servers:
            server.launch()
            stack.callback(server.kill)
        for server in servers:
            server.wait()
        yield


@dataclass(frozen=True, slots=True)
class Key:
    """A key as its user has it."""

    access_key_id: str
    url: str
    secret: SecretText

    @classmethod
    def of(cls, new: NewAccessKey) -> "Key":
        assert new.secret is not None
        return cls(new.key.access_key_id, new.key.connect_url, new.secret)

    @property
    def env(self) -> dict[str, str]:
        return {"ADITUS_ACCESS_KEY": self.secret.reveal()}


@dataclass(frozen=True, slots=True)
class App:
    """An app with a credential, as its user has them."""

    name: str
    credential_id: str
    secret: SecretText

    @property
    def env(self) -> dict[str, str]:
        return {"ADITUS_APP_SECRET": self.secret.reveal()}


class Service:
    """A service of the private network: its conversations are sockets that the test speaks itself."""

    def __init__(self) -> None:
        self.app_port = free_port()
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.settimeout(PATIENCE)
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def spec(self) -> str:
        """What an agent is told to offer it at `app_port`."""
        return f"{self.app_port}:{LOOPBACK}:{self.port}"

    def conversation(self) -> tuple[socket.socket, socket.socket]:
        """An app connects through the tunnel: its socket, and the service's."""
        app = socket.create_connection((LOOPBACK, self.app_port), PATIENCE)
        self._sockets.append(app)
        service, _ = self._listener.accept()
        service.settimeout(PATIENCE)
        self._sockets.append(service)
        return app, service

    def __enter__(self) -> "Service":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock in (*self._sockets, self._listener):
            sock.close()


def exactly(sock: socket.socket, size: int) -> bytes:
    """The next `size` bytes."""
    got = bytearray()
    while len(got) < size:
        piece = sock.recv(size - len(got))
        assert piece, f"the conversation ended after {len(got)} of {size} bytes"
        got += piece
    return bytes(got)


def is_reset(sock: socket.socket) -> bool:
    """Whether the conversation ends with a reset, as a cut one must; what came before is dropped."""
    try:
        while sock.recv(65_536):
            pass
    except ConnectionResetError:
        return True
    return False


def get(url: str, ca_file: Path | None = None) -> tuple[int, str]:
    """Status and body of a plain GET; https verified against `ca_file`."""
    context = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else None
    try:
        with urllib.request.urlopen(url, context=context, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def until(condition: Callable[[], object], what: Callable[[], str] | str) -> None:
    """Wait for what no event tells of, asking again and again. `what` tells what did not happen."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"did not happen: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)


@contextmanager
def occupied(port: int) -> Iterator[None]:
    """Somebody listens on this port meanwhile: we, if it is not somebody else already."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            sock.bind((LOOPBACK, port))
            sock.listen()
        yield


def copied(folder: Path, to: Path) -> Path:
    """A copy of a data folder at rest."""
    return Path(shutil.copytree(folder, to))


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a data folder, but the lock, which holds nothing."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }
