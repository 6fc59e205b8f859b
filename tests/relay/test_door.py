"""Who has not proven anything yet takes a place at the relay's door, and there are so many."""

import asyncio
import logging
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aditus.wire import frames
from tests.ends import LOOPBACK, Conversation, Echo, until
from tests.raw import HandAgent, Wire, upgrade
from tests.world import Key, Site

ELSEWHERE, AND_ELSEWHERE = "127.0.0.2", "127.0.0.3"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs addresses besides 127.0.0.1")


async def knock(site: Site, source: str) -> Conversation:
    """A connection to the relay from this address, which says nothing."""
    sock = socket.create_connection((LOOPBACK, site.relay_url.port), source_address=(source, 0))
    sock.setblocking(False)
    return Conversation(sock)


async def test_one_source_cannot_keep_the_others_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Site(tmp_path, strangers=8, strangers_per_source=5) as site, Echo() as echo:
        crowd = [await knock(site, ELSEWHERE) for _ in range(9)]
        for app in crowd[5:]:
            assert await app.cut() == b""
        assert site.relay.refusals == {"slow-down": 4}
        told = [record for record in caplog.records if record.levelno == logging.WARNING]
        assert len(told) == 1  # and not one for each
        assert ELSEWHERE in told[0].getMessage()

        key = site.make_key()
        [port] = await site.offer(key, echo)
        with await site.app(port) as app:
            await app.send(b"let in")
            assert await app.exactly(6) == b"let in"

        crowd[0].close()
        await until(lambda: len(site.relay.door) == 4, "that a place is free again")
        crowd[0] = await knock(site, ELSEWHERE)
        await until(lambda: len(site.relay.door) == 5, "that it is taken")
        for app in crowd:
            app.close()


async def test_when_all_places_are_taken_agents_come_in_as_soon_as_deadlines_free_them(
    tmp_path: Path,
) -> None:
    async with Site(tmp_path, strangers=6, strangers_per_source=4, handshake_seconds=0.5) as site:
        crowd = [await knock(site, source) for source in (ELSEWHERE, AND_ELSEWHERE) for _ in range(3)]
        await until(lambda: len(site.relay.door) == 6, "that all places are taken")
        with await knock(site, LOOPBACK) as late:
            assert await late.cut() == b""
        key = site.make_key()
        site.start_agent(
            key, f"15432:{LOOPBACK}:1", infinite_retries=True, pause=lambda _: asyncio.sleep(0.05)
        )
        await site.attached(key)
        for stranger in crowd:
            assert await stranger.gone()
            stranger.close()


async def talk_plainly(site: Site, key: Key) -> None:
    with await knock(site, LOOPBACK) as stranger:
        await stranger.send(b"GET / HTTP/1.1\r\n\r\n")
        await stranger.gone()


async def say_nothing(site: Site, key: Key) -> None:
    with await knock(site, LOOPBACK) as stranger:
        await stranger.gone()


async def say_nothing_in_tls(site: Site, key: Key) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        await wire.ended()


async def leave_in_tls(site: Site, key: Key) -> None:
    async with await Wire.connect(site.relay_url, site.trust):
        await until(lambda: len(site.relay.door) == 1, "that it is inside")


async def ask_for_a_page(site: Site, key: Key) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        assert (await wire.ask("/", {"Host": site.relay_url.audience})).status == 404


async def have_no_proof(site: Site, key: Key) -> None:
    async with await Wire.connect(site.relay_url, site.trust) as wire:
        assert (await wire.ask(key.url.path, upgrade(site.relay_url))).status == 401


async def never_sign(site: Site, key: Key) -> None:
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        assert len(site.relay.door) == 1
        assert await agent.wire.closed() == (1002, "protocol")


async def sign_something_else(site: Site, key: Key) -> None:
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.wire.say(agent.hello(signature=bytes(64)))
        assert await agent.wire.closed() == (1002, "protocol")


@pytest.mark.parametrize(
    "visit",
    [
        talk_plainly,
        say_nothing,
        say_nothing_in_tls,
        leave_in_tls,
        ask_for_a_page,
        have_no_proof,
        never_sign,
        sign_something_else,
    ],
)
async def test_every_way_to_go_gives_the_place_back(
    tmp_path: Path, visit: Callable[[Site, Key], Awaitable[None]]
) -> None:
    async with Site(tmp_path, handshake_seconds=0.3) as site:
        await visit(site, site.make_key())
        await until(lambda: not len(site.relay.door), "that the place is free again")


async def test_who_is_known_takes_no_place(tmp_path: Path) -> None:
    async with Site(tmp_path, strangers=2, strangers_per_source=2) as site:
        key, agents = site.make_key(), list[HandAgent]()
        for slot in range(4):
            dialled = HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path, slot=slot)
            agents.append(await dialled)
            assert len(site.relay.door) == 1
            await agents[-1].wire.say(agents[-1].hello())
            await until(lambda: not len(site.relay.door), "that it is known")
            await agents[-1].wire.say(frames.encode_offer(frames.Offer(1, ())))
        await site_has(site, key, 4)
        for agent in agents:
            await agent.wire.close()


async def site_has(site: Site, key: Key, tunnels: int) -> None:
    await until(lambda: len(site.tunnels(key)) == tunnels, f"{tunnels} tunnels")
