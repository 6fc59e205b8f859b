"""Whatever is changed of a key, in whatever order: what lives afterwards is what it allows, and all of it."""

import contextlib
import random
import time
from ipaddress import ip_network

import pytest

from aditus.crypto.keys import public_key
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import KeyState
from aditus.domain.policy import attach_verdict, port_verdict
from aditus.domain.relays import RelayKey, RelaySecret, StreamView
from tests.ends import LOOPBACK, Conversation, free_port, until
from tests.raw import HandAgent
from tests.world import SUBSCRIPTION, Key, Site

HERE, ELSEWHERE = ip_network("127.0.0.0/8"), ip_network("192.0.2.0/24")
STEPS = 200


def public_half(key: Key) -> bytes:
    return public_key(parse_access_key(key.secret.reveal()).secret)


async def dial(site: Site, key: Key) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path)


def streams_of(site: Site, *ports: int) -> list[StreamView]:
    return [view for view in site.relay.streams(SUBSCRIPTION) if view.port in ports]


class Model:
    """One key, the agents that attached with its secrets, and the streams that apps opened to them."""

    def __init__(self, site: Site, chance: random.Random, stack: contextlib.AsyncExitStack) -> None:
        self.site = site
        self.chance = chance
        self.stack = stack
        self.secrets = [site.make_key()]
        self.ports = (free_port(), free_port())
        self.agents: dict[str, bytes] = {}  # instance: the public half of its secret
        self.streams: dict[int, list[tuple[str, Conversation]]] = {port: [] for port in self.ports}

    @property
    def known(self) -> RelayKey:
        return self.site.known(self.secrets[0])

    def allows(self, public: bytes) -> bool:
        return bool(attach_verdict(self.known, public, LOOPBACK, time.time()))

    def change(self, **details: object) -> None:
        self.site.change(self.secrets[0], **details)

    def is_served(self, port: int) -> bool:
        """Whether the agents were told that the port is served, since a rule allows it."""
        tunnels = self.site.tunnels(self.secrets[0])
        return all(status.accepted for view in tunnels for status in view.ports if status.port == port)

    # --- what can happen -----------------------------------------------------------------------

    async def attach(self) -> None:
        """Somebody comes with one of the secrets that there ever were."""
        secret = self.chance.choice(self.secrets)
        if not self.allows(public_half(secret)):
            with pytest.raises(AssertionError, match="status=40"):
                await dial(self.site, secret)
            return
        agent = await self.stack.enter_async_context(await dial(self.site, secret))
        status = await agent.attach(*self.ports)
        for entry in status.ports:
            assert entry.verdict.accepted == bool(port_verdict(self.known, entry.port))
        self.agents[agent.instance.hex()] = public_half(secret)

    async def connect(self) -> None:
        """An app comes."""
        port = self.chance.choice(self.ports)
        if not self.agents or not port_verdict(self.known, port):
            with contextlib.suppress(ConnectionError):
                app = await self.site.app(port)
                with app:
                    assert await app.cut() == b""
            return
        await until(lambda: self.is_served(port), "a listener")  # it opens when the offers are answered anew
        before = {(view.tunnel_id, view.stream) for view in streams_of(self.site, port)}
        app = await self.site.app(port)
        self.stack.callback(app.close)
        await until(lambda: len(streams_of(self.site, port)) > len(before), "its stream")
        instances = {view.tunnel_id: view.instance for view in self.site.tunnels(self.secrets[0])}
        for view in streams_of(self.site, port):
            if (view.tunnel_id, view.stream) not in before:
                self.streams[port].append((instances[view.tunnel_id], app))

    async def administrate(self) -> None:
        """Somebody changes the key."""
        *old, newest = self.known.secrets
        ended = (*(RelaySecret(secret.public_key, time.time() - 1) for secret in old), newest)
        first, second = self.ports
        changes: list[dict[str, object]] = [
            {"state": KeyState.SUSPENDED},
            {"state": KeyState.ACTIVE},
            {"expires_at": time.time() - 1},
            {"expires_at": time.time() + 3_600},
            {"expires_at": None},
            {"allowed_ports": frozenset()},
            {"allowed_ports": frozenset({first})},
            {"allowed_ports": frozenset({second})},
            {"allowed_ports": None},
            {"allowed_sources": (ELSEWHERE,)},
            {"allowed_sources": (ELSEWHERE, HERE)},
            {"allowed_sources": None},
            {"secrets": ended},
        ]
        number = self.chance.randrange(len(changes) + 2)
        if number < len(changes):
            self.change(**changes[number])
        else:
            self.secrets.append(self.site.rotate(self.secrets[-1]))

    # --- what must hold ------------------------------------------------------------------------

    async def holds(self) -> None:
        self.agents = {instance: secret for instance, secret in self.agents.items() if self.allows(secret)}
        assert {view.instance for view in self.site.tunnels(self.secrets[0])} == set(self.agents)
        for port, streams in self.streams.items():
            alive = []
            for instance, app in streams:
                if instance in self.agents and port_verdict(self.known, port):
                    alive.append((instance, app))
                else:
                    assert await app.cut() == b""
            self.streams[port] = alive
            assert len(streams_of(self.site, port)) == len(alive)


@pytest.mark.parametrize("seed", range(12))
async def test_what_lives_is_what_the_key_allows(site: Site, seed: int) -> None:
    chance = random.Random(seed)
    async with contextlib.AsyncExitStack() as stack:
        other, port = site.make_key("another"), free_port()
        await (await stack.enter_async_context(await dial(site, other))).attach(port)
        with await site.app(port):
            await until(lambda: len(streams_of(site, port)) == 1, "its stream")
            model = Model(site, chance, stack)
            for _ in range(STEPS):
                await chance.choice((model.attach, model.connect, model.connect, model.administrate))()
                await model.holds()
                assert len(streams_of(site, port)) == 1  # nobody touched the other key
            site.revoke_now(model.secrets[0])
            await model.holds()
            assert not site.tunnels(model.secrets[0])
            assert site.tunnels(other)
