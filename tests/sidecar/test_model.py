"""Whatever happens to two apps, two keys and their agents, in whatever order: no byte crosses.

The apps' sidecars are attached by the real program, but their streams are opened past its own look at what
can be reached: the relay alone decides. Each service says its own name first, and then everything again.
"""

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aditus.crypto.keys import generate_pair, random_id
from aditus.domain.keytext import format_app_secret
from aditus.domain.model import KeyState
from aditus.domain.relays import RelayCredential
from aditus.net.mux import Mux, MuxStream
from aditus.wire.errors import ResetReason
from tests.conftest import FULL
from tests.ends import LOOPBACK, Conversation, Target, free_port, until
from tests.world import App, Beside, Key, Running, Site

APPS = KEYS = 2
NAME = 8
"""Bytes of a service's name."""
PAUSE_SECONDS = 0.02


async def brief(seconds: float) -> None:
    """How agents wait between two tries here."""
    await asyncio.sleep(min(seconds, PAUSE_SECONDS))


class Service(Target):
    """Says its name, and then everything again."""

    def __init__(self, name: bytes) -> None:
        super().__init__()
        assert len(name) == NAME
        self.name = name
        self._tasks = [asyncio.create_task(self._serve())]

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(self._sock)
            sock.setblocking(False)
            self.accepted.append(Conversation(sock))
            self._tasks.append(asyncio.create_task(self._talk(self.accepted[-1])))

    async def _talk(self, conversation: Conversation) -> None:
        loop = asyncio.get_running_loop()
        with conversation, contextlib.suppress(ConnectionError):
            await conversation.send(self.name)
            while piece := await loop.sock_recv(conversation.sock, 65_536):
                await conversation.send(piece)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close()


class Stream:
    """A stream of an app, from the sidecar's side: what it heard, and how it ended."""

    def __init__(self, mux: Mux, port: int) -> None:
        self.heard = bytearray()
        self.why: ResetReason | None = None
        self._said = 0
        self._stream: MuxStream = mux.open(port, f"{LOOPBACK}:1", self)

    def say(self, word: bytes) -> None:
        self._said += len(word)
        self._stream.send(memoryview(word))

    @property
    def has_heard_all(self) -> bool:
        return len(self.heard) == NAME + self._said

    # --- the end of a `MuxStream` --------------------------------------------------------------

    def data(self, data: memoryview) -> None:
        self.heard += data
        self._stream.consume(len(data))

    def cut(self, reason: ResetReason, detail: str) -> None:
        self.why = reason

    def accepted(self) -> None: ...
    def ended(self) -> None: ...
    def congested(self) -> None: ...
    def relieved(self) -> None: ...
    def sent(self, size: int) -> None: ...


@dataclass
class KeyModel:
    """A key, its agent, and the service that this agent leads to; the next one's after a revoke."""

    key: Key
    service: Service
    spec: str
    agent: Running | None
    state: KeyState = KeyState.ACTIVE

    @property
    def serves(self) -> bool:
        return self.state is KeyState.ACTIVE and self.agent is not None


@dataclass
class AppModel:
    """An app, its sidecar, and the streams that must be alive, each with the key that it leads to."""

    app: App
    beside: Beside
    key: KeyModel | None = None
    streams: list[tuple[Stream, KeyModel]] = field(default_factory=list)


class Model:
    """What must be so, beside what is so."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = free_port()  # of both keys: an app port means nothing without a key
        self.keys: list[KeyModel] = []
        self.apps: list[AppModel] = []
        self.services: list[Service] = []
        self._words = 0

    async def start(self) -> None:
        self.keys = [await self._new_key() for _ in range(KEYS)]
        for number in range(APPS):
            app = self.site.make_app(f"app-{number}")
            self.apps.append(AppModel(app, await self._attached(app)))

    async def stop(self) -> None:
        for app in self.apps:
            await app.beside.stop()
        for key in self.keys:
            if key.agent is not None:
                await key.agent.stop()
            self.site.revoke_now(key.key)
        for service in self.services:
            await service.stop()
        await until(lambda: not self.site.relay.live_streams(), "no stream is left")
        await until(lambda: not self.site.resources.budget.spent, "all that was granted came back")

    async def _new_key(self) -> KeyModel:
        service = Service(f"key-{len(self.services):04}".encode())
        self.services.append(service)
        model = KeyModel(
            self.site.make_key(service.name.decode()), service, f"{self.port}:{LOOPBACK}:{service.port}", None
        )
        await self._come(model)
        return model

    async def _come(self, key: KeyModel) -> None:
        key.agent = self.site.start_agent(key.key, key.spec, pause=brief, infinite_retries=True)
        if key.state is KeyState.ACTIVE:
            await self.site.attached(key.key)

    async def _attached(self, app: App) -> Beside:
        beside = self.site.start_sidecar(app, listen=None)
        await until(lambda: beside.sidecar.is_up, "the sidecar is attached")
        return beside

    # --- what can happen -----------------------------------------------------------------------

    def change(self, step: "Change") -> None:
        """What an administrator does, at one moment."""
        app, key = self.apps[step.app], self.keys[step.key]
        if step.kind == "associate":
            self._associate(app, key)
        elif step.kind == "dissociate":
            self._associate(app, None)
        elif key.state is KeyState.REVOKED:
            return  # for ever
        elif step.kind == "revoke":
            key.state = KeyState.REVOKED
            self.site.revoke_now(key.key)
        else:
            key.state = KeyState.SUSPENDED if step.kind == "suspend" else KeyState.ACTIVE
            self.site.change(key.key, state=key.state)

    def _associate(self, app: AppModel, key: KeyModel | None) -> None:
        app.key = key
        self.site.associate(app.app, None if key is None else key.key)

    async def settle(self) -> None:
        """Agents that may come back do."""
        for key in self.keys:
            if key.state is KeyState.REVOKED and key.agent is not None:
                await key.agent.stop()
                key.agent = None
            elif key.serves:
                await self.site.attached(key.key)

    async def renew(self, number: int) -> None:
        """A new key stands where a revoked one stood; nobody is associated with it yet."""
        if self.keys[number].state is KeyState.REVOKED:
            self.keys[number] = await self._new_key()

    async def go_or_come(self, key: KeyModel) -> None:
        """The key's agent stops, or another one starts."""
        if key.state is KeyState.REVOKED:
            return
        if key.agent is None:
            await self._come(key)
            return
        await key.agent.stop()
        key.agent = None
        await self.site.detached(key.key)

    async def replace_credential(self, app: AppModel) -> None:
        """The app's credential is revoked, which ends its sidecar and all it carries; another one comes."""
        self.site.revoke_credential(app.app)
        for stream, _ in app.streams:
            await self._is_cut(stream)
        app.streams.clear()
        assert (await app.beside.ended()).reason == "revoked"
        pair, credential_id = generate_pair(), random_id()
        known = self.site._apps[app.app.app_id].credentials
        self.site.change_app(app.app, credentials=(*known, RelayCredential(credential_id, pair.public)))
        app.app = dataclasses.replace(app.app, secret=format_app_secret(credential_id, pair.secret))
        app.beside = await self._attached(app.app)

    async def open(self, app: AppModel) -> None:
        """The app opens a stream: it leads where the model says, or nowhere, for the reason that it says."""
        stream = self._open(app)
        why = self._forbidden(app)
        if why is not None:
            assert await self._is_cut(stream) is why
            assert not stream.heard
            return
        assert app.key is not None
        await until(lambda: stream.has_heard_all or stream.why, "the service says its name")
        assert stream.why is None
        assert stream.heard == app.key.service.name
        app.streams.append((stream, app.key))

    async def open_amid(self, app: AppModel, step: "Change") -> None:
        """The app opens a stream just when something changes: what holds afterwards decides."""
        stream = self._open(app)
        self.change(step)
        await self.settle()
        key = app.key if self._forbidden(app) is None else None

        def is_decided() -> bool:
            return stream.why is not None or (key is not None and stream.heard == key.service.name)

        await until(is_decided, "it is cut, or leads to the key that the app has now")
        if stream.why is None:
            assert key is not None
            app.streams.append((stream, key))

    def _open(self, app: AppModel) -> Stream:
        [keeper] = app.beside.sidecar._links.keepers
        assert keeper.attachment is not None
        assert keeper.attachment.mux is not None
        return Stream(keeper.attachment.mux, self.port)

    @staticmethod
    def _forbidden(app: AppModel) -> ResetReason | None:
        if app.key is None:
            return ResetReason.NOT_ASSOCIATED
        if app.key.state is not KeyState.ACTIVE:
            return ResetReason.REVOKED if app.key.state is KeyState.REVOKED else ResetReason.SUSPENDED
        return None if app.key.serves else ResetReason.NO_AGENT

    @staticmethod
    async def _is_cut(stream: Stream) -> ResetReason:
        await until(lambda: stream.why is not None, "the stream is cut")
        assert stream.why is not None
        return stream.why

    # --- what must hold ------------------------------------------------------------------------

    async def holds(self) -> None:
        """Streams whose right went are cut; the others still lead where they led, and say so."""
        for app in self.apps:
            alive = []
            for stream, key in app.streams:
                if app.key is not key or not key.serves:
                    await self._is_cut(stream)
                    continue
                self._words += 1
                word = f"<{self._words}>".encode()
                stream.say(word)
                await until(lambda s=stream: s.has_heard_all or s.why, "the service says it again")  # type: ignore[misc]
                assert stream.why is None
                assert stream.heard.startswith(key.service.name)
                assert stream.heard.endswith(word)
                alive.append((stream, key))
            app.streams = alive
            ports = [self.port] if self._forbidden(app) is None else []
            sidecar = app.beside.sidecar
            await until(lambda s=sidecar, p=ports: [*s.ports] == p, "the sidecar knows what it reaches")  # type: ignore[misc]
        for key in self.keys:
            alive_here = sum(of is key for app in self.apps for _, of in app.streams)
            assert sum(tunnel.streams for tunnel in self.site.tunnels(key.key)) == alive_here
        assert self.site.relay.live_streams() == sum(len(app.streams) for app in self.apps)


@dataclass(frozen=True)
class Change:
    """Of an app's association, or of a key."""

    kind: str
    app: int
    key: int


@dataclass(frozen=True)
class Step:
    """`open` (amid a change), `change`, `agent`, `renew` or `credential`."""

    kind: str
    change: Change


async def take(model: Model, step: Step) -> None:
    app, key = model.apps[step.change.app], model.keys[step.change.key]
    if step.kind == "open":
        await model.open(app)
    elif step.kind == "open amid":
        await model.open_amid(app, step.change)
    elif step.kind == "change":
        model.change(step.change)
        await model.settle()
    elif step.kind == "agent":
        await model.go_or_come(key)
    elif step.kind == "renew":
        await model.renew(step.change.key)
    else:
        await model.replace_credential(app)


CHANGES = st.builds(
    Change,
    st.sampled_from(["associate", "associate", "associate", "dissociate", "suspend", "resume", "revoke"]),
    st.integers(0, APPS - 1),
    st.integers(0, KEYS - 1),
)
KINDS = ["open"] * 5 + ["change"] * 4 + ["open amid"] * 2 + ["agent", "renew", "credential"]
STEPS = st.lists(st.builds(Step, st.sampled_from(KINDS), CHANGES), min_size=10, max_size=40)


@pytest.mark.timeout(1800 if FULL else 60)
@settings(  # not shrunk: a sequence that fails takes `PATIENCE` each time
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    report_multiple_bugs=False,
)
@given(steps=STEPS)
async def test_no_byte_crosses_between_apps_whatever_happens(site: Site, steps: list[Step]) -> None:
    model = Model(site)  # with apps and keys of its own; that the relay is an old one is the better test
    try:
        await model.start()
        for key, app in zip(model.keys, model.apps, strict=True):
            model._associate(app, key)
        for step in steps:
            await take(model, step)
            await model.holds()
    finally:
        await model.stop()
