"""The relay's port is open to the world: scanners, health checks and browsers knock, and it stays calm."""

import asyncio
import logging
import socket
import ssl
from pathlib import Path

import pytest

from aditus.wiring import process
from tests.ends import LOOPBACK, Conversation, Echo, until
from tests.raw import Wire
from tests.world import Site


def browse(port: int) -> None:
    """Be a program that does not trust the development CA."""
    with socket.create_connection((LOOPBACK, port)) as sock, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")


async def test_strangers_of_every_kind_are_no_errors_and_in_nobodys_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "aditus")
    async with Site(tmp_path, handshake_seconds=0.5) as site, Echo() as echo:
        asyncio.get_running_loop().set_exception_handler(process.on_loop_error)
        key = site.make_key()
        [port] = await site.offer(key, echo)
        relay = site.relay_url.port
        with await site.app(port) as app:
            for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", bytes(100_000)):
                for leave in (Conversation.close, Conversation.reset, Conversation.finish):
                    with await Conversation.connect(relay) as stranger:
                        if words:
                            await stranger.send(words)
                        leave(stranger)
            await asyncio.to_thread(browse, relay)
            idle = [await Conversation.connect(relay) for _ in range(50)]
            mute = [await Wire.connect(site.relay_url, site.trust) for _ in range(50)]
            await app.send(b"undisturbed")
            assert await app.exactly(11) == b"undisturbed"
            for stranger in idle:
                assert await stranger.gone()
                stranger.close()
            for wire in mute:
                assert await wire.ended()
                await wire.close()
        assert len(site.tunnels(key)) == 1
    worst = max(record.levelno for record in caplog.records)
    assert worst < logging.WARNING, [record for record in caplog.records if record.levelno == worst]


async def test_an_error_of_ours_is_still_told(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(process.on_loop_error)

    def defect() -> None:
        raise ZeroDivisionError

    loop.call_soon(defect)
    await until(lambda: caplog.records, "a log line")
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info is not None
    caplog.clear()
