"""A whole Aditus in the test process: control plane, relay, agents, services and apps, on free ports.

    async with World(tmp_path) as world, Echo() as echo:
        key = await world.key("plant-1")
        [port] = await world.offer(key, echo)
        with await world.app(port) as app:
            ...

`World` runs what `aditus serve` runs. `Site` is its smaller sister, a relay fed by the test itself, for tests
that need short deadlines or the relay's inner parts. Both end what they started; both fail at their end
when anything logged an error, or when the loop met an exception that nobody handled.
"""

import asyncio
import atexit
import contextlib
import dataclasses
import functools
import logging
import shutil
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from types import TracebackType

from aditus.agent.settings import AgentSettings
from aditus.agent.supervisor import Agent
from aditus.client.rest import Client
from aditus.config.address import Address
from aditus.config.serve import ServeConfig
from aditus.control.service import bootstrap
from aditus.crypto import devca
from aditus.crypto.keys import generate_pair, random_connect_id, random_id
from aditus.crypto.proof import Ed25519Verifier, KeySigner
from aditus.domain.connect_url import ConnectUrl, RelayUrl, parse_relay_url
from aditus.domain.errors import AditusError
from aditus.domain.keytext import (
    SecretText,
    format_access_key,
    format_app_secret,
    parse_access_key,
    parse_app_secret,
)
from aditus.domain.model import Cut, KeyState, RevokeResult
from aditus.domain.relays import KeyChanges, RelayApp, RelayCredential, RelayKey, RelaySecret, TunnelView
from aditus.domain.spec import parse_specs
from aditus.net import tcp, tls
from aditus.net.mux import Resources
from aditus.relay.relay import Relay
from aditus.relay.settings import STRANGERS, STRANGERS_PER_SOURCE, RelaySettings
from aditus.sidecar.settings import LocalPort, SidecarSettings
from aditus.sidecar.sidecar import Sidecar
from aditus.store.database import open_database
from aditus.wiring import data_folder
from aditus.wiring.serve import Server, serving
from tests.ends import IPV6, LOOPBACK, Conversation, Target, free_port, soon, until

REGION = "local"
CAPABILITY = "integration"
SUBSCRIPTION = "s"


@dataclasses.dataclass(frozen=True, slots=True)
class Key:
    """A key as its user holds it."""

    access_key_id: str
    key_id: str
    secret: SecretText
    url: ConnectUrl
    subscription_id: str = SUBSCRIPTION

    def signer(self) -> KeySigner:
        return KeySigner(parse_access_key(self.secret.reveal()))


@dataclasses.dataclass(frozen=True, slots=True)
class App:
    """An app with one credential, as the relay and its sidecar have them."""

    app_id: str
    name: str
    secret: SecretText

    def signer(self) -> KeySigner:
        return KeySigner(parse_app_secret(self.secret.reveal()))


class Runs:
    """A program that runs in a task of the test's."""

    def __init__(self, program: Agent | Sidecar) -> None:
        self._task = asyncio.create_task(program.run())

    async def ended(self) -> AditusError:
        """Why it stopped for good."""
        return await soon(asyncio.shield(self._task))

    @property
    def runs(self) -> bool:
        return not self._task.done()

    async def stop(self) -> None:
        """Stop it as SIGTERM does."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class Running(Runs):
    """An agent that runs."""

    def __init__(self, agent: Agent, specs: tuple[str, ...]) -> None:
        super().__init__(agent)
        self.agent = agent
        self.specs = specs


class Beside(Runs):
    """A sidecar that runs."""

    def __init__(self, sidecar: Sidecar) -> None:
        super().__init__(sidecar)
        self.sidecar = sidecar

    async def reaches(self, *ports: int) -> None:
        """Wait until these app ports, and no others, can be reached, and each has its local port."""

        def follows() -> bool:
            listeners = self.sidecar._listeners
            return set(self.sidecar.ports) == set(ports) == set(listeners.open.values())

        await until(follows, f"app ports {ports} reached")


class Complaints(logging.Handler):
    """What was logged as an error, and what the loop could not give to anybody."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("WS parser error"):
            return  # the peer's, not ours
        self.found.append(f"{record.name}: {record.getMessage()} {record.exc_info or ''}")

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if context.get("message") == "SSL handshake failed":
            return  # as `wiring.process` has it
        self.found.append(f"loop: {context.get('message')}: {context.get('exception')!r}")


class Site:
    """A relay with agents, services and apps; the test itself says which keys there are."""

    def __init__(
        self,
        folder: Path,
        *,
        app_listen: str | None = LOOPBACK,
        reserved_ports: frozenset[int] = frozenset(),
        handshake_seconds: float = 5.0,
        strangers: int = STRANGERS,
        strangers_per_source: int = STRANGERS_PER_SOURCE,
        trusted_proxies: tuple[str, ...] = (),
        also_called: tuple[str, ...] = (),
        relay_host: str = LOOPBACK,
    ) -> None:
        self.folder = folder
        self.complaints = Complaints()
        self.resources = Resources()
        """The relay's; agents have their own."""
        self.relay: Relay
        self.relay_url: RelayUrl
        self.trust: ssl.SSLContext
        self.certificate: tuple[Path, Path]
        self._relay_host = relay_host
        self._app_listen = app_listen
        self._reserved_ports = reserved_ports
        self._handshake_seconds = handshake_seconds
        self._strangers = strangers
        self._strangers_per_source = strangers_per_source
        self._also_called = also_called
        self._trusted_proxies = tuple(map(ip_network, trusted_proxies))
        self._keys: dict[str, RelayKey] = {}
        self._apps: dict[str, RelayApp] = {}
        self._agents: list[Runs] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Site":
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self.complaints)
        logging.getLogger().addHandler(self.complaints)
        try:
            await self._start()
        except BaseException:
            logging.getLogger().removeHandler(self.complaints)
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for running in self._agents:
                await running.stop()
            await self._stack.aclose()
        finally:
            logging.getLogger().removeHandler(self.complaints)
        if error is None:
            assert not self.complaints.found, self.complaints.found

    async def _start(self) -> None:
        files = devca.ensure(self.folder, [], time.time())
        self.certificate = files.certificate, files.key
        self.trust = tls.client_context(files.ca)
        sock = tcp.listening_socket(self._relay_host, 0)
        self._stack.callback(sock.close)
        self.relay_url = RelayUrl("localhost", sock.getsockname()[1])
        settings = RelaySettings(
            region=REGION,
            audiences=(
                self.relay_url.audience,
                f"{LOOPBACK}:{self.relay_url.port}",
                f"[{IPV6}]:{self.relay_url.port}",
                *self._also_called,
            ),
            app_listen=self._app_listen,
            reserved_ports=self._reserved_ports | {self.relay_url.port},
            handshake_seconds=self._handshake_seconds,
            strangers=self._strangers,
            strangers_per_source=self._strangers_per_source,
            trusted_proxies=self._trusted_proxies,
        )
        self.relay = Relay(settings, Ed25519Verifier(), self.resources)
        tasks = await self._stack.enter_async_context(asyncio.TaskGroup())
        await self.relay.start(sock, tls.server_context(files.certificate, files.key), tasks)
        self._stack.callback(self.relay.close)

    # --- keys ----------------------------------------------------------------------------------

    def make_key(self, access_key_id: str = "plant-1", **details: object) -> Key:
        """Generate a key that the relay knows from now on; `details` are fields of its `RelayKey`."""
        pair, key_id, connect_id = generate_pair(), random_id(), random_connect_id()
        live = (RelaySecret(pair.public),)
        key = RelayKey(key_id, access_key_id, SUBSCRIPTION, REGION, KeyState.ACTIVE, live, connect_id)
        self.tell(dataclasses.replace(key, **details))  # type: ignore[arg-type]
        secret = format_access_key(REGION, key_id, pair.secret)
        return Key(access_key_id, key_id, secret, self.relay_url.connect(connect_id))

    def tell(self, key: RelayKey) -> list[Cut]:
        """Let the key feed tell this key as it is now."""
        self._keys[key.key_id] = key
        changes = KeyChanges(REGION, self.relay.epoch + 1, (key,))
        return self.relay.apply(changes, time.monotonic())

    def change(self, key: Key, **details: object) -> list[Cut]:
        """Change fields of a key's `RelayKey`, and tell the relay."""
        return self.tell(dataclasses.replace(self._keys[key.key_id], **details))  # type: ignore[arg-type]

    def known(self, key: Key) -> RelayKey:
        """What the relay was last told of a key."""
        return self._keys[key.key_id]

    def rotate(self, key: Key, *, old_ends_at: float | None = None) -> Key:
        """Make a second secret of a key; the old one lives until `old_ends_at` (None: for now)."""
        pair, known = generate_pair(), self._keys[key.key_id]
        old = dataclasses.replace(known.secrets[-1], ends_at=old_ends_at)
        self.change(key, secrets=(old, RelaySecret(pair.public)))
        return dataclasses.replace(key, secret=format_access_key(REGION, key.key_id, pair.secret))

    def revoke_now(self, key: Key) -> list[Cut]:
        """Revoke at once, as the key feed does."""
        return self.change(key, state=KeyState.REVOKED, connect_id="")

    # --- agents --------------------------------------------------------------------------------

    def start_agent(
        self,
        key: Key,
        *specs: str,
        urls: tuple[ConnectUrl, ...] = (),
        links: int = 1,
        infinite_retries: bool = False,
        target_seconds: float = 10.0,
        proxy: str | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        trust: ssl.SSLContext | None = None,
        signer: KeySigner | None = None,
        resources: Resources | None = None,
    ) -> Running:
        """Start an agent; `pause` is how it waits between two tries."""
        settings = AgentSettings(
            urls=urls or (key.url,),
            specs=parse_specs(specs),
            links=links,
            infinite_retries=infinite_retries,
            target_seconds=target_seconds,
            proxies={url.relay: proxy for url in urls or (key.url,)} if proxy else {},
        )
        agent = Agent(
            settings, signer or key.signer(), trust or self.trust, resources or Resources(), pause=pause
        )
        running = Running(agent, specs)
        self._agents.append(running)
        return running

    # --- apps and their sidecars ---------------------------------------------------------------

    def make_app(self, name: str = "reports", key: Key | None = None) -> App:
        """Create an app that the relay knows from now on, associated with this key."""
        pair, app_id, credential_id = generate_pair(), random_id(), random_id()
        credential = RelayCredential(credential_id, pair.public)
        key_id, region = ("", "") if key is None else (key.key_id, REGION)
        self.tell_app(RelayApp(app_id, name, SUBSCRIPTION, key_id, region, (credential,)))
        return App(app_id, name, format_app_secret(credential_id, pair.secret))

    def tell_app(self, app: RelayApp) -> None:
        """Let the feed tell this app as it is now."""
        self._apps[app.app_id] = app
        self.relay.apply(KeyChanges(REGION, self.relay.epoch + 1, (), (app,)), time.monotonic())

    def change_app(self, app: App, **details: object) -> None:
        """Change fields of an app's `RelayApp`, and tell the relay."""
        self.tell_app(dataclasses.replace(self._apps[app.app_id], **details))  # type: ignore[arg-type]

    def associate(self, app: App, key: Key | None) -> None:
        """Associate the app with this key, or with none."""
        key_id, region = ("", "") if key is None else (key.key_id, REGION)
        self.change_app(app, key_id=key_id, region=region)

    def revoke_credential(self, app: App) -> None:
        """Revoke all credentials of an app."""
        known = self._apps[app.app_id].credentials
        self.change_app(app, credentials=tuple(dataclasses.replace(one, revoked=True) for one in known))

    def start_sidecar(
        self,
        app: App,
        *,
        app_name: str = "",
        relays: tuple[RelayUrl, ...] = (),
        local_ports: tuple[LocalPort, ...] = (),
        listen: str | None = LOOPBACK,
        infinite_retries: bool = False,
        socks: tuple[str, int] | None = None,
        http_proxy: tuple[str, int] | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> Beside:
        """Start a sidecar. On this machine its local ports are not the app ports: give them."""
        settings = SidecarSettings(
            app=app_name or app.name,
            relays=relays or (self.relay_url,),
            listen=listen,
            local_ports=local_ports,
            infinite_retries=infinite_retries,
            socks=socks,
            http_proxy=http_proxy,
        )
        beside = Beside(Sidecar(settings, app.signer(), self.trust, Resources(), pause=pause))
        self._agents.append(beside)
        return beside

    def tunnels(self, key: Key) -> list[TunnelView]:
        """The live tunnels of a key, as the relay sees them."""
        return [view for view in self.relay.tunnels(key.subscription_id) if view.key_id == key.key_id]

    async def attached(self, key: Key, tunnels: int = 1) -> list[TunnelView]:
        """Wait until the key has so many tunnels whose offers were answered."""

        def answered() -> bool:
            return sum(bool(view.ports) for view in self.tunnels(key)) == tunnels

        await until(answered, f"{tunnels} tunnels of {key.access_key_id}")
        return self.tunnels(key)

    async def detached(self, key: Key) -> None:
        """Wait until the key has no tunnel."""
        await until(lambda: not self.tunnels(key), f"no tunnel of {key.access_key_id}")

    async def offer(self, key: Key, *targets: Target, tunnels: int = 1) -> list[int]:
        """Start an agent that offers these services, and wait until `tunnels` are there; the app ports."""
        ports = [free_port() for _ in targets]
        specs = [f"{port}:{LOOPBACK}:{target.port}" for port, target in zip(ports, targets, strict=True)]
        self.start_agent(key, *specs)
        await self.attached(key, tunnels)
        return ports

    # --- apps ----------------------------------------------------------------------------------

    async def app(self, port: int) -> Conversation:
        """An app that has connected to an app port."""
        return await Conversation.connect(port)

    async def pair(self, port: int, target: Target) -> tuple[Conversation, Conversation]:
        """A conversation from an app to a service: both ends of it."""
        app = await self.app(port)
        return app, await target.accept()


@functools.cache
def first_started() -> "tempfile.TemporaryDirectory[str]":
    """A data folder after a first start, made once: tables, password and certificates take 0.2 s of CPU.

    First starts themselves are tried in tests/process.
    """
    folder = tempfile.TemporaryDirectory(prefix="aditus-first-started-")
    atexit.register(folder.cleanup)
    database = open_database(f"sqlite:///{folder.name}/aditus.db")

    def hand_over(first: bootstrap.FirstStart) -> None:
        data_folder.write_owner_token(Path(folder.name), first.token)

    bootstrap.ensure(database, REGION, "wss://localhost:8443", time.time(), hand_over)
    database.close()
    devca.ensure(Path(folder.name), [], time.time())
    return folder


class World(Site):
    """All that `aditus serve` runs; keys are made and revoked by its REST API."""

    def __init__(
        self,
        folder: Path,
        *,
        region: str = REGION,
        app_listen: str | None = LOOPBACK,
        api_port: int = 0,
        relay_port: int = 0,
        metrics_port: int | None = None,
    ) -> None:
        super().__init__(folder, app_listen=app_listen)
        self.server: Server
        self.client: Client
        self._config = serve_config(folder, region, app_listen, api_port, relay_port, metrics_port)

    async def __aenter__(self) -> "World":
        await super().__aenter__()
        return self

    async def _start(self) -> None:
        if self._config.region == REGION and not any(self.folder.iterdir()):
            await asyncio.to_thread(shutil.copytree, first_started().name, self.folder, dirs_exist_ok=True)
        self.server = await self._stack.enter_async_context(serving(self._config))
        self.relay = self.server.relay
        self.relay_url = parse_relay_url(self.server.relay_url)
        self.trust = tls.client_context(Path(self.server.ca_file))
        token = (self.folder / "owner.token").read_text().strip()
        self.client = Client(self.server.api_url, token)
        self._stack.callback(self.client.close)

    async def key(self, access_key_id: str = "plant-1", *, expires_at: float | None = None) -> Key:
        """Generate a key, as an administrator does."""
        new = await asyncio.to_thread(
            self.client.generate_key, access_key_id, CAPABILITY, expires_at=expires_at
        )
        assert new.secret is not None
        url = ConnectUrl.parse(new.key.connect_url)
        return Key(access_key_id, new.key.key_id, new.secret, url, new.key.subscription_id)

    async def revoke(self, *keys: Key) -> tuple[RevokeResult, ...]:
        """Revoke keys, as an administrator does; what the API answered."""
        return await asyncio.to_thread(self.client.revoke_keys, [key.access_key_id for key in keys])


def serve_config(
    folder: Path,
    region: str = REGION,
    app_listen: str | None = LOOPBACK,
    api_port: int = 0,
    relay_port: int = 0,
    metrics_port: int | None = None,
) -> ServeConfig:
    """What `aditus serve` is told here: everything on loopback, on free ports."""
    return ServeConfig(
        data=folder,
        api_listen=Address(LOOPBACK, api_port),
        relay_listen=Address(LOOPBACK, relay_port),
        region=region,
        app_listen=app_listen,
        database_url=None,
        public_urls=(),
        tls_cert=None,
        tls_key=None,
        trusted_proxies=(),
        metrics_listen=None if metrics_port is None else Address(LOOPBACK, metrics_port),
        metrics_named=metrics_port is not None,
        log_format="text",
        log_file=None,
        debug=False,
        notices=(),
    )
