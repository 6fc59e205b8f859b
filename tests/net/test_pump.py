"""The pump between TCP and a stream: credit goes back for what the kernel took, and ends tell the truth."""

import asyncio
import socket
from collections.abc import AsyncIterator

import aiofastnet
import pytest

from aditus.net import tcp
from aditus.net.pump import Pump
from aditus.wire.errors import ResetReason
from tests.ends import Conversation, until
from tests.recorded import RecordedStream


class Joined:
    """A pump on one end of a TCP connection; the test holds the other."""

    def __init__(self, pump: Pump, stream: RecordedStream, peer: Conversation) -> None:
        self.pump = pump
        self.stream = stream
        self.peer = peer


@pytest.fixture
async def joined() -> AsyncIterator[Joined]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    theirs.setblocking(False)
    stream = RecordedStream()
    pump = Pump(ResetReason.TARGET_RESET)
    pump.bind(stream)
    await aiofastnet.create_connection(asyncio.get_running_loop(), lambda: pump, sock=ours)
    with Conversation(theirs) as peer:
        yield Joined(pump, stream, peer)
        pump.abort()
        if peer.sock.fileno() >= 0:  # the test did not end it
            await peer.gone()


async def test_bytes_go_into_the_stream_as_they_come(joined: Joined) -> None:
    await joined.peer.send(b"select 1")
    await until(lambda: joined.stream.said == b"select 1", "the bytes in the stream")
    assert joined.stream.calls == []


async def test_credit_returns_for_what_the_kernel_took_and_for_no_more(joined: Joined) -> None:
    block, given = memoryview(bytes(65_536)), 0
    while joined.stream.consumed == given:  # until the kernel takes no more
        joined.pump.data(block)
        given += len(block)
    stalled = given - joined.stream.consumed
    assert 0 < stalled <= len(block)
    joined.pump.data(block)  # all of this waits
    assert given + len(block) - joined.stream.consumed == stalled + len(block)
    await joined.peer.exactly(given + len(block))
    await until(lambda: joined.stream.consumed >= given, "the credit of what was waiting")


async def test_a_fin_from_the_tunnel_comes_after_all_bytes(joined: Joined) -> None:
    said = bytes(range(256)) * 65_536  # 16 MiB, more than the kernel takes
    joined.pump.data(memoryview(said))
    joined.pump.ended()
    assert await joined.peer.rest() == said
    await until(lambda: joined.stream.consumed == len(said), "all credit")
    await joined.peer.send(b"still listening")
    await until(lambda: joined.stream.said == b"still listening", "the other direction")


async def test_both_ends_finished_is_a_clean_end(joined: Joined) -> None:
    joined.pump.data(memoryview(b"bye"))
    joined.pump.ended()
    assert await joined.peer.rest() == b"bye"
    joined.peer.finish()
    await until(lambda: joined.stream.calls == ["finish"], "FIN in the tunnel")
    await until(lambda: joined.pump.dead, "the end of the connection")
    assert await joined.peer.some() == b""  # no reset comes after the clean end
    assert joined.stream.calls == ["finish"]


async def test_what_waits_when_both_have_finished_is_still_delivered(joined: Joined) -> None:
    said = bytes(range(256)) * 65_536
    joined.peer.finish()
    await until(lambda: joined.stream.calls == ["finish"], "FIN in the tunnel")
    joined.pump.data(memoryview(said))
    joined.pump.ended()
    assert await joined.peer.rest() == said
    await until(lambda: joined.stream.consumed == len(said), "all credit")


async def test_a_reset_by_the_peer_resets_the_stream(joined: Joined) -> None:
    joined.peer.reset()
    await until(lambda: joined.stream.calls == [ResetReason.TARGET_RESET], "RESET in the tunnel")


@pytest.mark.parametrize("waiting", [b"", bytes(1 << 24)], ids=["nothing waits", "bytes wait"])
async def test_a_cut_is_a_reset_for_the_peer(joined: Joined, waiting: bytes) -> None:
    joined.pump.data(memoryview(waiting or b"x"))
    joined.pump.cut(ResetReason.REVOKED, "")
    assert len(await joined.peer.cut()) < max(len(waiting), 2)
    assert joined.stream.calls == []  # the stream is gone already


async def test_a_peer_that_resets_just_before_a_fin_comes_costs_its_stream_alone(joined: Joined) -> None:
    joined.peer.reset()
    joined.pump.ended()  # before the loop could see the reset
    await until(lambda: joined.stream.calls == [ResetReason.TARGET_RESET], "RESET in the tunnel")


async def test_a_peer_that_resets_while_bytes_wait_resets_the_stream(joined: Joined) -> None:
    joined.pump.data(memoryview(bytes(1 << 24)))
    joined.pump.ended()
    joined.peer.reset()
    await until(lambda: joined.stream.calls == [ResetReason.TARGET_RESET], "RESET in the tunnel")


async def test_a_congested_stream_pauses_the_peer_until_it_is_relieved(joined: Joined) -> None:
    joined.pump.congested()
    joined.pump.congested()  # told twice, paused once
    await joined.peer.send(b"wait")
    joined.pump.relieved()
    await until(lambda: joined.stream.said == b"wait", "the bytes in the stream")


class Refusing(Pump):
    """A pump for which there is never a stream."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.refuse()


async def test_whom_no_stream_can_be_had_for_is_reset_also_who_has_gone_already() -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said["message"]))
    server = await tcp.listen("127.0.0.1", 0, lambda: Refusing(ResetReason.APP_RESET))
    try:
        address = ("127.0.0.1", server.port)
        for _ in range(100):
            Conversation(socket.create_connection(address)).reset()
        for _ in range(10):  # on the numbers of the descriptors that have become free
            with Conversation(socket.create_connection(address)) as asking:
                asking.sock.setblocking(False)
                await asking.gone()
    finally:
        server.close()
    assert complaints == []
