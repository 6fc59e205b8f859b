"""A crowd, a scanner, a dead target: apps wait and none is lost, and no agent is asked for too much."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from aditus.net.tcp import ACCEPTED_AT_ONCE
from aditus.relay.guard import FAILED_PER_SECOND, PLACES, REOPENS_AT, Guard
from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType
from tests.ends import Conversation, Echo, free_port, until
from tests.raw import HandAgent
from tests.world import Key, Site

CROWD = 600
AHEAD = 4 * ACCEPTED_AT_ONCE
"""How many may be on their way from `accept` to their OPEN when the listener is held: a few turns."""


class Hands:
    """An agent made by hand: it answers opens when it is told to."""

    def __init__(self, agent: HandAgent) -> None:
        self.agent = agent
        self.opened = 0
        """How many streams the relay has opened; their numbers run from 1 to this."""
        self._answered = 0
        self._pongs = 0

    async def listen(self) -> None:
        """Note what the relay says, as long as it says something."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            while True:
                kind, _, _ = await self.agent.hear()
                self.opened += kind == FrameType.OPEN
                self._pongs += kind == FrameType.PONG

    async def catch_up(self) -> int:
        """Hear all that the relay has said and is about to say; the opens that were not answered."""
        for _ in range(5):  # round trips, and with each some turns of the relay's loop
            self._pongs = 0
            await self.agent.wire.say(frames.encode_ping(bytes(8)))
            await until(lambda: self._pongs, "a pong")
        return self.opened - self._answered

    async def accept(self, count: int) -> None:
        """Accept those that wait longest, and greet them."""
        for number in range(self._answered + 1, self._answered + count + 1):
            await self.agent.wire.say(frames.encode_accept(number))
            await self.agent.wire.say(frames.encode_data(number, b"welcome"))
        self._answered += count

    async def refuse(self, count: int) -> None:
        """Say of those that wait longest that their target refused."""
        for number in range(self._answered + 1, self._answered + count + 1):
            await self.agent.wire.say(frames.encode_reset(number, ResetReason.TARGET_REFUSED))
        self._answered += count


@contextlib.asynccontextmanager
async def hand(site: Site, key: Key, *ports: int) -> AsyncIterator[Hands]:
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach(*ports)
        hands = Hands(agent)
        listening = asyncio.create_task(hands.listen())
        try:
            yield hands
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@contextlib.asynccontextmanager
async def crowd(port: int, count: int = CROWD) -> AsyncIterator[list[Conversation]]:
    """Apps that have all connected, as far as they can tell."""
    apps: list[Conversation] = []
    try:
        while len(apps) < count:
            apps.append(await Conversation.connect(port))
        yield apps
    finally:
        for app in apps:
            app.close()


def waits(site: Site, port: int) -> bool:
    """Whether apps that come now have to wait."""
    return site.relay._ingress._listeners[port].held


async def test_a_crowd_before_a_slow_target_waits_and_nobody_is_reset(site: Site) -> None:
    key, port, also = site.make_key(), free_port(), free_port()
    async with hand(site, key, port, also) as agent:
        early = await site.app(port)
        await until(lambda: agent.opened == 1, "the first open")
        await agent.accept(1)
        async with crowd(port) as apps:
            await until(lambda: waits(site, port), "that the port is held")
            pending = await agent.catch_up()
            assert PLACES <= pending <= PLACES + AHEAD

            with early:  # what runs goes on
                assert await early.exactly(7) == b"welcome"
            await agent.accept(pending - REOPENS_AT - 1)
            assert await agent.catch_up() == REOPENS_AT + 1
            assert waits(site, port)  # not yet: else each ACCEPT would let one in
            await agent.accept(1)
            await until(lambda: agent.opened > pending + 1, "that the next ones are let in")

            while agent.opened <= CROWD:
                await agent.accept(await agent.catch_up())
            await agent.accept(await agent.catch_up())
            for app in apps:
                assert await app.exactly(7) == b"welcome"
            assert not waits(site, port)
        assert not waits(site, also)


async def test_other_keys_do_not_notice(site: Site) -> None:
    key, other, port = site.make_key(), site.make_key("plant-2"), free_port()
    async with Echo() as echo, hand(site, key, port) as agent:
        [free] = await site.offer(other, echo)
        async with crowd(port):
            await until(lambda: waits(site, port), "that the port is held")
            with await site.app(free) as app:
                await app.send(b"all is well")
                assert await app.exactly(11) == b"all is well"
            assert await agent.catch_up() >= PLACES


async def test_a_target_that_is_down_is_not_dialled_thousands_of_times_a_second(site: Site) -> None:
    key, port = site.make_key(), free_port()
    began, seconds = time.monotonic(), 0.0
    async with hand(site, key, port) as agent, crowd(port) as apps:
        while agent.opened < CROWD:
            await agent.refuse(await agent.catch_up())
            seconds = time.monotonic() - began
            assert agent.opened <= PLACES + AHEAD + FAILED_PER_SECOND * (seconds + 1)
        await agent.refuse(await agent.catch_up())
        for app in apps:
            assert await app.cut() == b""
        assert seconds > (CROWD - PLACES - AHEAD) / FAILED_PER_SECOND - 1


async def test_a_scanner_that_leaves_at_once_is_slowed_and_the_next_app_is_served(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with hand(site, key, port) as agent:
        async with crowd(port) as apps:
            for app in apps:
                app.reset()
            await until(lambda: waits(site, port), "that the port is held")
            assert PLACES <= await agent.catch_up() <= PLACES + AHEAD
        with await site.app(port) as app:
            welcome = asyncio.create_task(app.exactly(7))
            while not welcome.done():
                await agent.accept(await agent.catch_up())
            assert await welcome == b"welcome"


async def test_whoever_has_room_serves_and_the_others_wait_for_no_one_else(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with hand(site, key, port) as first, hand(site, key, port) as second, crowd(port, 2 * CROWD):
        await until(lambda: waits(site, port), "that the port is held")
        assert await first.catch_up() >= PLACES
        assert await second.catch_up() >= PLACES
        async with hand(site, key, port) as third:
            await until(lambda: third.opened >= PLACES, "that those who waited come to the new agent")
            await until(lambda: waits(site, port), "that the port is held again")


async def test_who_waits_for_an_agent_that_goes_is_reset(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with hand(site, key, port) as agent:
        async with crowd(port) as apps:
            await until(lambda: waits(site, port), "that the port is held")
            await agent.agent.wire.close()
            for app in apps:
                assert await app.cut() == b""
        await site.detached(key)
    with pytest.raises(ConnectionRefusedError):
        await site.app(port)
    async with hand(site, key, port) as successor, crowd(port, PLACES - 1):
        await until(lambda: successor.opened == PLACES - 1, "that its successor begins with all places")
        assert not waits(site, port)


async def test_a_tunnel_that_is_gone_reopens_nothing() -> None:
    guard, heard = Guard(), []
    guard.reopened = lambda: heard.append("reopened")
    for _ in range(PLACES):
        guard.enter()
    assert guard.shut
    guard.close()
    for _ in range(PLACES):
        guard.leave(accepted=True)
    assert heard == []
