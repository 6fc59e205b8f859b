"""Dialling the relay through somebody's HTTP proxy: it carries TLS, and learns nothing of the key."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from aditus.domain.connect_url import RelayUrl
from tests.ends import LOOPBACK, Echo, free_port, soon
from tests.world import Site


class HandProxy:
    """An HTTP proxy: CONNECT is answered with `status`, and carried on when that is 200."""

    def __init__(self, status: str = "200 Connection established") -> None:
        self.port = 0
        self.asked: list[bytes] = []
        self._status = status
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._talk(reader, writer))
        self._tasks.add(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = None
        try:
            self.asked.append(await soon(reader.readuntil(b"\r\n\r\n")))
            writer.write(f"HTTP/1.1 {self._status}\r\n\r\n".encode())
            if not self._status.startswith("200"):
                return
            host, port = self.asked[-1].split()[1].decode().rsplit(":", 1)
            try:
                far, upstream = await asyncio.open_connection(host, int(port))
            except ConnectionRefusedError:
                return  # a proxy that finds out too late
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(reader, upstream))
                ways.create_task(self._carry(far, writer))
        finally:
            writer.close()
            if upstream is not None:
                upstream.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65_536):
                sink.write(piece)
                await sink.drain()
            sink.close()
        except ConnectionError:
            sink.transport.abort()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


async def test_an_agent_attaches_through_a_proxy_that_asks_for_a_password(site: Site) -> None:
    async with HandProxy() as proxy, Echo() as echo:
        key, port = site.make_key(), free_port()
        agent = site.start_agent(
            key, f"{port}:{LOOPBACK}:{echo.port}", proxy=f"http://me:s3cret@{LOOPBACK}:{proxy.port}"
        )
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"around the corner")
            assert await app.exactly(17) == b"around the corner"
        [asked] = proxy.asked
        assert asked.startswith(f"CONNECT localhost:{site.relay_url.port} HTTP/1.1\r\n".encode())
        assert base64.b64encode(b"me:s3cret") in asked
        assert b"Bearer" not in asked
        assert key.url.connect_id.encode() not in asked
        await agent.stop()
        await site.detached(key)


@pytest.mark.parametrize(
    ("status", "reason", "why"),
    [
        ("407 Proxy Authentication Required", "proxy-password", "another user and password"),
        ("502 Bad Gateway", "unreachable", "HTTP 502"),
        ("200 and then nothing", "unreachable", "connection"),
    ],
)
async def test_a_proxy_that_lets_nobody_through_is_told_and_tried_again(
    site: Site, status: str, reason: str, why: str
) -> None:
    delays: list[float] = []

    async def pause(delay: float) -> None:
        delays.append(delay)

    async with HandProxy(status) as proxy:
        key, nobody = site.make_key(), RelayUrl("localhost", free_port())
        agent = site.start_agent(
            key,
            "5432:127.0.0.1:1",
            urls=(key.url.at(nobody),),
            proxy=f"http://me:s3cret@{LOOPBACK}:{proxy.port}",
            pause=pause,
        )
        error = await agent.ended()
        assert error.reason == reason
        assert len(delays) == 9
        assert "s3cret" not in str(error)
        assert why in error.message


async def test_a_proxy_that_is_not_there_is_a_failure_like_others(site: Site) -> None:
    async def pause(_: float) -> None: ...

    key = site.make_key()
    proxy = f"http://me:s3cret@{LOOPBACK}:{free_port()}"
    error = await site.start_agent(key, "5432:127.0.0.1:1", proxy=proxy, pause=pause).ended()
    assert error.reason == "unreachable"
    assert "s3cret" not in str(error)
