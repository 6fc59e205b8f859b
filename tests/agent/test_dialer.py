"""The agent dials its specs and nothing else, and a target that fails costs its own stream alone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from aditus.agent.dialer import TargetPump
from aditus.net import tcp
from aditus.wire.errors import ResetReason
from tests.ends import LOOPBACK, BlackHole, Conversation, Echo, Target, free_port, until
from tests.recorded import RecordedStream
from tests.world import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site


@pytest.fixture
def resets(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the relay logs of streams that were reset."""
    caplog.set_level(logging.DEBUG, "aditus.relay.ingress")

    def told() -> list[str]:
        found = (record.getMessage().partition("a stream was reset: ") for record in caplog.records)
        return [reason for _, mark, reason in found if mark]

    return told


async def goes_on(app: Conversation) -> None:
    await app.send(b"still there?")
    assert await app.exactly(12) == b"still there?"


async def test_a_target_that_refuses_costs_its_stream_alone(
    site: Site, resets: Callable[[], list[str]]
) -> None:
    key, port, echo_port, closed = site.make_key(), free_port(), free_port(), free_port()
    async with Echo() as echo:
        specs = (f"{port}:{LOOPBACK}:{closed}", f"{echo_port}:{LOOPBACK}:{echo.port}")
        running = site.start_agent(key, *specs)
        await site.attached(key)
        with await site.app(echo_port) as other, await site.app(port) as app:
            assert await app.cut() == b""
            assert resets() == ["target-refused, connection refused"]  # and not where
            assert running.agent.not_ready() == [f"spec {specs[0]}: target-refused"]
            await goes_on(other)


async def test_a_target_that_does_not_answer_times_out_alone(
    site: Site, resets: Callable[[], list[str]]
) -> None:
    key, port, echo_port = site.make_key(), free_port(), free_port()
    async with Echo() as echo:
        with BlackHole() as hole:
            specs = (f"{port}:{LOOPBACK}:{hole.port}", f"{echo_port}:{LOOPBACK}:{echo.port}")
            running = site.start_agent(key, *specs, target_seconds=0.3)
            await site.attached(key)
            with await site.app(echo_port) as other, await site.app(port) as app:
                await app.send(b"early words")
                await goes_on(other)
                assert await app.cut() == b""
                assert resets() == ["target-timeout, the target did not answer within 0.3 s"]
                assert running.agent.not_ready() == [f"spec {specs[0]}: target-timeout"]
                await goes_on(other)


async def test_a_target_whose_name_has_no_address_is_said_to_have_none(
    site: Site, resets: Callable[[], list[str]]
) -> None:
    key, port = site.make_key(), free_port()
    running = site.start_agent(key, f"{port}:nowhere.invalid:5432")
    await site.attached(key)
    with await site.app(port) as app:
        assert await app.cut() == b""
    assert resets() == ["target-unresolved, the target's name has no address"]  # and not which
    assert running.agent.not_ready() == [f"spec {port}:nowhere.invalid:5432: target-unresolved"]


async def test_a_target_that_comes_back_is_used_again(site: Site) -> None:
    key, port, service_port = site.make_key(), free_port(), free_port()
    running = site.start_agent(key, f"{port}:{LOOPBACK}:{service_port}")
    await site.attached(key)
    with await site.app(port) as app:
        await app.cut()
    assert running.agent.not_ready()
    with Target(port=service_port) as service:
        app, there = await site.pair(port, service)
        with app:
            await there.send(b"back again")
            assert await app.exactly(10) == b"back again"
    assert not running.agent.not_ready()


async def test_a_target_on_ipv6_is_dialled_in_brackets(site: Site) -> None:
    async with Echo("::1") as echo:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:[::1]:{echo.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await goes_on(app)


async def test_a_name_with_two_addresses_leads_to_the_one_that_answers(site: Site) -> None:
    async with Echo() as echo:  # on 127.0.0.1 alone, while localhost may be ::1 first
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:localhost:{echo.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await goes_on(app)


async def test_what_an_app_says_before_the_target_answers_waits_for_it(site: Site) -> None:
    with BlackHole() as target:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{target.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"first words")
            app.finish()
            await until(lambda: target.knocking, "a dial to the target")
            await target.open()
            there = await target.accept()
            assert await there.rest() == b"first words"
            await there.send(b"last words")
            there.finish()
            assert await app.rest() == b"last words"


async def test_a_stream_that_ends_while_its_target_is_dialled_is_dialled_no_more(site: Site) -> None:
    with BlackHole() as target:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{target.port}")
        await site.attached(key)
        app = await site.app(port)
        await until(lambda: target.knocking, "a dial to the target")
        app.reset()
        await until(lambda: not target.knocking, "no dial to the target")
        assert site.tunnels(key)[0].streams == 0


async def test_a_cut_between_the_targets_answer_and_its_use_ends_the_connection_with_a_reset() -> None:
    """The loop can cut a stream when its target has answered, and before the pump was told."""
    stream = RecordedStream()
    with Target() as target:
        pump = TargetPump(stream)
        dialling = asyncio.create_task(tcp.connect(LOOPBACK, target.port, pump))
        there = await target.accept()
        pump.cut(ResetReason.REVOKED, "")
        await dialling
        assert await there.cut() == b""
    assert stream.calls == []


async def test_what_is_opened_while_the_agent_is_stopped_is_refused_in_peace(site: Site) -> None:
    key, port = site.make_key(), free_port()
    with Target() as service:
        running = site.start_agent(key, f"{port}:{LOOPBACK}:{service.port}")
        await site.attached(key)
        stopping = asyncio.create_task(running.stop())
        refused: list[object] = []
        while running.runs:  # in every turn of the loop until it has ended
            stream = RecordedStream(port)
            running.agent._dialer.open(stream, port)
            refused += stream.calls
            await asyncio.sleep(0)
        await stopping
    assert set(refused) == {ResetReason.DRAIN}
