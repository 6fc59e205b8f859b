"""A relay that leaves: what apps meet meanwhile, alone and beside other relays."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from aditus.wire import frames
from aditus.wire.errors import ResetReason
from aditus.wire.frames import FrameType
from tests.ends import LOOPBACK, Echo, Target, free_port, soon, until
from tests.raw import HandAgent
from tests.world import Key, Site


async def is_served(site: Site, port: int) -> bool:
    """Whether an app that comes now is served, or refused; a reset is a failure."""
    try:
        app = await site.app(port)
    except ConnectionRefusedError:
        return False
    with app:
        await app.send(b"hello")
        return await app.exactly(5) == b"hello"


def is_refused(port: int) -> bool:
    """Whether nobody listens there. Looks without connecting: that would be an app."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


async def hand_agent(site: Site, key: Key) -> HandAgent:
    return await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path)


async def test_alone_it_refuses_apps_at_once_and_lets_running_streams_finish(site: Site) -> None:
    with Target() as service:
        key = site.make_key()
        [port] = await site.offer(key, service)
        app, there = await site.pair(port, service)
        with app, there:
            site.relay.drain(30)
            leaving = asyncio.create_task(site.relay.drained())
            await until(lambda: is_refused(port), "that an app is refused")
            await there.send(b"still here")
            assert await app.exactly(10) == b"still here"
            assert not leaving.done()
            app.finish()
            there.finish()
            assert await app.rest() + await there.rest() == b""
        await soon(leaving)


async def test_who_is_in_its_listeners_when_it_leaves_is_served(site: Site) -> None:
    """They have connected, as far as they know."""
    async with Echo() as echo:
        key = site.make_key()
        [port] = await site.offer(key, echo)
        with ExitStack() as apps:
            knocked = [apps.enter_context(await site.app(port)) for _ in range(3)]
            site.relay.drain(30)
            for app in knocked:
                await app.send(b"hello")
                assert await app.exactly(5) == b"hello"


async def test_beside_others_it_serves_apps_until_its_agent_offers_nothing(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await hand_agent(site, key) as agent:
        await agent.attach(port)
        site.relay.drain(30, alone=False)
        leaving = asyncio.create_task(site.relay.drained())
        await agent.hear(FrameType.GOAWAY)
        with pytest.raises(ConnectionRefusedError):  # a balancer leads agents elsewhere
            await hand_agent(site, key)
        with await site.app(port) as app:
            await agent.hear(FrameType.OPEN)
            await agent.wire.say(frames.encode_accept(1))
            with await site.app(port):  # its OPEN comes before the STATUS, whatever the relay reads first
                await agent.wire.say(frames.encode_offer(frames.Offer(2, ())))
                await agent.hear(FrameType.OPEN)
            _, count, payload = await agent.hear(FrameType.STATUS)
            assert frames.decode_status(count, payload) == frames.Status(2, ())
            with pytest.raises(ConnectionRefusedError):
                await site.app(port)
            await agent.wire.say(frames.encode_data(1, b"still here"))
            assert await app.exactly(10) == b"still here"
            assert not leaving.done()
            for stream in (1, 2):
                await agent.wire.say(frames.encode_reset(stream, ResetReason.TARGET_RESET))
            await soon(leaving)


async def test_beside_others_an_agent_that_attaches_nowhere_is_waited_for_for_a_part_of_the_grace(
    site: Site,
) -> None:
    async with Echo() as echo:
        key = site.make_key()
        [port] = await site.offer(key, echo)
        site.relay.drain(1, alone=False)
        leaving = asyncio.create_task(site.relay.drained())
        assert await is_served(site, port)
        await soon(leaving)
        assert not await is_served(site, port)


async def test_another_agent_of_the_key_that_stays_keeps_the_listener_open(site: Site) -> None:
    async with Echo() as echo:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await site.attached(key)
        async with await hand_agent(site, key) as agent:
            await agent.attach(port)
            await agent.wire.say(frames.encode_offer(frames.Offer(2, ())))
            await agent.hear(FrameType.STATUS)
            assert await is_served(site, port)
