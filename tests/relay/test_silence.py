"""A peer that falls silent is noticed within 45 s, and what it carried is cut."""

import asyncio
import time

import pytest

from aditus.wire import frames
from aditus.wire.frames import FrameType
from tests.ends import free_port, until
from tests.raw import HandAgent
from tests.world import Site


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_agent_that_falls_silent_is_asked_and_then_dropped(site: Site) -> None:
    key, port = site.make_key(), free_port()
    async with await HandAgent.dial(site.relay_url, site.trust, key.signer(), key.url.path) as agent:
        await agent.attach(port)
        with await site.app(port) as app:
            await agent.hear(FrameType.OPEN)
            await agent.wire.say(frames.encode_accept(1))
            silent_since, heard = time.monotonic(), []
            while (message := await patiently(agent)) is not None:
                heard.append(frames.decode_header(message)[0])
            assert 44 < time.monotonic() - silent_since < 50
            assert heard.count(FrameType.PING) >= 2
            await until(lambda: not site.tunnels(key), "that the tunnel is gone")
            assert await app.cut() == b""


async def patiently(agent: HandAgent) -> bytes | None:
    """The next frame, however long it takes; nothing at the end."""
    try:
        first, second = await agent.wire.reader.readexactly(2)
        assert first == 0x82
        return await agent.wire.reader.readexactly(second & 0x7F)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
