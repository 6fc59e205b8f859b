"""RFC 6455 from the other side: what an agent answers to a relay that breaks it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import pack

import pytest

from aditus.crypto import devca
from aditus.net import tls
from aditus.wire import frames
from aditus.wire.frames import MAX_FRAME
from tests.ends import until
from tests.raw import TEXT, WS_CLOSE, WS_PING, HandRelay, Wire, register
from tests.world import Site

PING = frames.encode_ping(bytes(8))
BROKEN: dict[str, tuple[int, Callable[[Wire], bytes]]] = {
    "a masked message": (1002, lambda wire: b"\x82\x90" + bytes(4) + PING),
    "a text": (1002, lambda wire: wire.framed(b"hello", TEXT)),
    "a fragment": (1002, lambda wire: wire.framed(PING, fin=False)),
    "a reserved bit": (1002, lambda wire: wire.framed(PING, rsv=4)),
    "a reserved bit on a ping": (1002, lambda wire: wire.framed(b"", WS_PING, rsv=2)),
    "an opcode of no meaning": (1002, lambda wire: wire.framed(b"", 0xB)),
    "a longer form of a length": (1002, lambda wire: b"\x82\x7e\x00\x10" + PING),
    "a ping of 126 bytes": (1002, lambda wire: wire.framed(bytes(126), WS_PING)),
    "a message over our limit": (1009, lambda wire: b"\x82\x7f" + pack("!Q", MAX_FRAME + 1)),
    "a close without a code": (1000, lambda wire: wire.framed(b"", WS_CLOSE)),
    "a close with 1006": (1002, lambda wire: wire.framed(pack("!H", 1006), WS_CLOSE)),
    "a close with 5000": (1002, lambda wire: wire.framed(pack("!H", 5000), WS_CLOSE)),
    "a close that is not UTF-8": (1007, lambda wire: wire.framed(pack("!H", 1000) + b"\xff", WS_CLOSE)),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_an_agent_leaves_a_relay_that_breaks_the_rfc_and_dials_again(tmp_path: Path, what: str) -> None:
    """`Site` fails the test if that is an error of ours in any log."""
    heard: list[int | None] = []

    async def breaking(wire: Wire, asked: Mapping[str, str]) -> None:
        await register(wire, asked)
        await wire.send(BROKEN[what][1](wire))
        heard.append((await wire.closed())[0])

    async def pause(_delay: float) -> None:
        if len(heard) >= 2:
            await asyncio.Event().wait()  # until it is stopped

    async with Site(tmp_path) as site:
        files = devca.ensure(site.folder, [], time.time())
        async with HandRelay(tls.server_context(files.certificate, files.key), breaking) as relay:
            key = site.make_key()
            url = relay.url.connect(key.url.connect_id)
            agent = site.start_agent(key, "5432:127.0.0.1:1", urls=(url,), pause=pause)
            await until(lambda: len(heard) == 2, "that it has dialled again")
            await agent.stop()
        assert heard == [BROKEN[what][0]] * 2
