"""The end of a WebSocket, also when its program ends in the same moment."""

import asyncio
import gc
import socket
import time
from pathlib import Path

import pytest

from aditus.crypto import devca
from aditus.net import tls, ws


class Handler:
    """Remembers its WebSocket, and whether that is gone."""

    def __init__(self) -> None:
        self.ws: ws.WebSocket
        self.is_gone = False

    def connected(self, ws: ws.WebSocket) -> None:
        self.ws = ws

    def message(self, message: memoryview) -> None:
        raise AssertionError("nobody said anything")

    def violated(self, what: str) -> None:
        raise AssertionError(what)

    def writable(self) -> None:
        raise AssertionError("nothing was sent")

    def closed(self, code: int | None, reason: str) -> None:
        self.is_gone = True


class Program(asyncio.SelectorEventLoop):
    """A loop on which WebSockets are lost in the last turn before it is closed: all tasks have ended."""

    to_lose: tuple[ws.WebSocket, ...] = ()

    async def shutdown_default_executor(self) -> None:
        await super().shutdown_default_executor()
        for websocket in self.to_lose:
            websocket.abort()  # the transport tells of it in the next turn, in which the loop is stopped


def lost_at_the_end(files: devca.DevTls, folder: Path) -> None:
    """A program that dials, and ends; meanwhile its WebSocket is lost."""
    relay, agent = Handler(), Handler()

    async def meet() -> None:
        sock = socket.create_server(("127.0.0.1", 0))
        server = await ws.serve(sock, tls.server_context(files.certificate, files.key), lambda _: relay)
        url = f"wss://localhost:{sock.getsockname()[1]}/connect"
        await ws.dial(url, tls.client_context(folder / "ca.pem"), {}, agent, None)
        server.close()

    with asyncio.Runner(loop_factory=Program) as runner:
        program = runner.get_loop()
        assert isinstance(program, Program)
        runner.run(meet())
        assert not agent.is_gone
        program.to_lose = (agent.ws, relay.ws)
    assert agent.is_gone


def test_one_that_is_lost_in_the_last_turn_of_the_loop_leaves_nothing_undone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost_at_the_end(devca.ensure(tmp_path, [], time.time()), tmp_path)
    gc.collect()  # what was never awaited warns, and what was destroyed while it was pending is logged
    assert caplog.messages == []
