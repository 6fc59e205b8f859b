"""A revoke falls between any two steps of attaching and opening, and never leaves anything behind.

Here the steps are direct calls, so that every order of them can be tried; `tests/system/test_revoke.py` does
it through sockets.
"""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aditus.crypto.proof import KeySigner
from aditus.domain.model import KeyState
from aditus.net.mux import Mux
from aditus.net.ws import Refusal, Upgrade
from aditus.wire import frames
from aditus.wire.errors import CannotOpen, ResetReason
from aditus.wire.frames import Role
from tests.ends import free_port
from tests.recorded import RecordedEnd
from tests.world import Key, Site


@dataclass
class Visitor:
    """An agent whose every step is a call."""

    site: Site
    key: Key
    ports: tuple[int, ...]
    instance: bytes = field(default_factory=lambda: os.urandom(16))
    mux: Mux | None = None
    ends: list[RecordedEnd] = field(default_factory=list)
    signer: KeySigner = field(init=False)

    def __post_init__(self) -> None:
        self.signer = self.key.signer()

    def knock(self) -> None:
        """Show the bearer."""
        relay_url = self.site.relay_url
        headers = {
            "Authorization": f"Bearer {self.signer.bearer(relay_url.audience, time.time())}",
            "Sec-WebSocket-Protocol": frames.SUBPROTOCOL,
        }
        answer = self.site.relay._acceptor.decide(Upgrade(self.key.url.path, headers))
        self.mux = None if isinstance(answer, Refusal) else answer

    def prove(self) -> None:
        """Answer the challenge."""
        hello = frames.decode_acceptor_hello(self._heard()[frames.HEADER_SIZE :]) if self.mux else None
        if hello is None:
            return
        message = frames.attach_message(
            Role.AGENT,
            hello.challenge,
            hello.connect_id,
            self.key.key_id,
            self.site.relay_url.audience,
            self.instance,
        )
        signature = self.signer.sign(message)
        self._say(
            frames.encode_dialer_hello(frames.DialerHello(Role.AGENT, 0, 65_536, self.instance, signature))
        )

    def offer(self) -> None:
        """Offer the ports; the answer takes turns of the loop."""
        self._say(frames.encode_offer(frames.Offer(1, self.ports)))

    def open(self) -> None:
        """Be an app that opens a stream."""
        end = RecordedEnd()
        try:
            self.site.relay._ingress._opener.open(self.key.key_id, self.ports[0], "127.0.0.1:1", end)
        except CannotOpen as error:
            end.reasons.append(error.reason)
        self.ends.append(end)

    def leave(self) -> None:
        """The connection is lost."""
        if self.mux is not None:
            self.mux.closed(None, "")

    def _say(self, frame: bytes) -> None:
        if self.mux is not None:
            self.mux.message(memoryview(frame))

    def _heard(self) -> bytes:
        assert self.mux is not None
        frame = self.mux.session.next_frame()
        assert frame is not None
        return frame


async def turns(count: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def settled(site: Site) -> None:
    """Let every answer to an offer be given, and every cut be finished."""
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1 or site.relay._cutter._steps:  # noqa: ASYNC110  they are few
            await asyncio.sleep(0)
    await turns(2)


def nothing_left(site: Site, key: Key) -> None:
    """No tunnel, no listener, no port is the key's."""
    assert not site.tunnels(key)
    assert key.key_id not in site.relay._ingress._owners.values()
    assert not site.relay._ingress._listeners


ATTACH = ("knock", "prove", "offer", "turn", "turn", "turn", "open")


@pytest.mark.parametrize("at", range(len(ATTACH) + 1))
async def test_a_revoke_between_any_two_steps_of_one_agent_leaves_nothing(site: Site, at: int) -> None:
    key, port = site.make_key(), free_port()
    agent = Visitor(site, key, (port,))
    for number, step in enumerate((*ATTACH[:at], "revoke", *ATTACH[at:])):
        if step == "turn":
            await asyncio.sleep(0)
        elif step == "revoke":
            site.revoke_now(key)
            assert not site.tunnels(key)
        else:
            getattr(agent, step)()
        del number
    await settled(site)
    assert all(end.reasons == [ResetReason.REVOKED] for end in agent.ends)
    nothing_left(site, key)
    agent.leave()


def interleavings(one: tuple[str, ...], two: tuple[str, ...]) -> Iterator[list[tuple[int, str]]]:
    """Every order in which two agents can take their steps."""
    total = len(one) + len(two)
    for places in itertools.combinations(range(total), len(one)):
        steps = (iter(one), iter(two))
        yield [(0, next(steps[0])) if place in places else (1, next(steps[1])) for place in range(total)]


async def test_a_revoke_in_every_order_of_two_agents_and_their_apps_leaves_nothing(site: Site) -> None:
    steps, tried, opened = ("knock", "prove", "offer", "open"), 0, 0
    port = free_port()
    for order in interleavings(steps, steps):
        for at in range(2, len(order) + 1):
            for pause in range(4):  # turns of the loop after each offer: an answer takes three
                key = site.make_key()
                agents = [Visitor(site, key, (port,)), Visitor(site, key, (port,))]
                for index, (who, step) in enumerate(order):
                    if index == at:
                        site.revoke_now(key)
                    getattr(agents[who], step)()
                    if step == "offer":
                        await turns(pause)
                    if index >= at:
                        assert not site.tunnels(key)
                if at == len(order):
                    opened += any(not end.reasons for agent in agents for end in agent.ends)
                    site.revoke_now(key)
                await settled(site)
                for end in agents[0].ends + agents[1].ends:
                    assert end.reasons in ([ResetReason.REVOKED], [ResetReason.NO_AGENT])
                nothing_left(site, key)
                for agent in agents:
                    agent.leave()
                tried += 1
    assert tried == 70 * 7 * 4
    assert opened > 50  # the orders are not all vain


@pytest.mark.parametrize("at", range(12))
async def test_an_agent_that_leaves_while_another_registers_does_not_take_the_listener_along(
    site: Site, at: int
) -> None:
    """The other's answer is on its way: its first port is served by then, the rest not yet."""
    key, ports = site.make_key(), (free_port(), free_port(), free_port())
    first, second = Visitor(site, key, ports[:1]), Visitor(site, key, ports)
    for agent in (first, second):
        agent.knock()
        agent.prove()
    first.offer()
    await settled(site)
    second.offer()
    await turns(at)
    first.leave()
    await settled(site)
    assert site.relay._ingress._listeners.keys() == set(ports)
    second.open()
    assert not second.ends[0].reasons
    second.leave()
    assert not site.relay._ingress._listeners


OPERATIONS = st.sampled_from(
    ["knock", "prove", "offer", "open", "open", "leave", "turn", "suspend", "resume", "expire", "revoke"]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # keys and ports are new each time
@given(steps=st.lists(st.tuples(st.integers(0, 2), OPERATIONS), max_size=60))
async def test_whatever_happens_in_whatever_order_only_living_keys_have_tunnels_and_streams(
    site: Site, steps: list[tuple[int, str]]
) -> None:
    """Three keys, an agent each, all of them offering the same port."""
    port = free_port()
    keys = [site.make_key(f"plant-{number}") for number in range(3)]
    agents = [Visitor(site, key, (port,)) for key in keys]
    states = {key.key_id: KeyState.ACTIVE for key in keys}
    done: list[set[str]] = [set(), set(), set()]
    old: list[Visitor] = []
    for who, step in steps:
        key, agent = keys[who], agents[who]
        state = states[key.key_id]
        if step == "turn":
            await turns(2)
        elif step == "leave":
            agent.leave()
            old.append(agent)
            agents[who], done[who] = Visitor(site, key, (port,)), set()
        elif step in ("suspend", "resume", "expire", "revoke"):
            if state is not KeyState.REVOKED:
                states[key.key_id] = {
                    "suspend": KeyState.SUSPENDED,
                    "resume": KeyState.ACTIVE,
                    "expire": KeyState.EXPIRED,
                    "revoke": KeyState.REVOKED,
                }[step]
                site.change(key, state=states[key.key_id])
        elif step == "open" or (step not in done[who] and done[who] >= BEFORE[step]):
            done[who].add(step)
            getattr(agent, step)()
        for other in keys:
            alive = states[other.key_id] is KeyState.ACTIVE
            tunnels = site.relay._registry.of(other.key_id)
            assert alive or not tunnels
            for tunnel in tunnels:
                assert tunnel.mux.session.streams == len(tunnel.mux.streams)
        for each, visitor in zip(keys, agents, strict=True):
            if states[each.key_id] is not KeyState.ACTIVE:
                assert all(end.reasons for end in visitor.ends)
    for key, agent in zip(keys, agents, strict=True):
        site.revoke_now(key)
        agent.leave()
        old.append(agent)
    await settled(site)
    assert all(end.reasons for agent in old for end in agent.ends)
    for key in keys:
        nothing_left(site, key)


BEFORE: dict[str, set[str]] = {"knock": set(), "prove": {"knock"}, "offer": {"knock", "prove"}}
