"""Several agents with one key: where a new stream goes, above all when the target of one is down."""

import pytest

from aditus.relay import registry
from tests.ends import LOOPBACK, Echo, free_port
from tests.world import Site


async def served(site: Site, port: int) -> bool:
    """Whether an app that comes now is served, or reset."""
    with await site.app(port) as app:
        try:
            await app.send(b"hello")
            return await app.exactly(5) == b"hello"
        except ConnectionError:
            return False


async def test_an_agent_whose_target_is_down_is_passed_over(site: Site) -> None:
    """It costs one app its connection; without this, a dead spare would have the fewest streams for ever."""
    async with Echo() as echo:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{free_port()}")  # nobody listens there
        await site.attached(key)
        site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await site.attached(key, 2)
        outcomes = [await served(site, port) for _ in range(20)]
        assert outcomes.count(False) <= 1
        with await site.app(port) as app:  # a stream that stays makes the good one the fuller one
            await app.send(b"stay")
            assert await app.exactly(4) == b"stay"
            assert [await served(site, port) for _ in range(5)] == [True] * 5


async def test_its_other_ports_are_not(site: Site) -> None:
    async with Echo() as echo:
        key, port, other = site.make_key(), free_port(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{free_port()}", f"{other}:{LOOPBACK}:{echo.port}")
        await site.attached(key)
        assert not await served(site, port)
        assert await served(site, other)


async def test_alone_it_is_asked_every_time_and_serves_as_soon_as_its_target_is_back(site: Site) -> None:
    key, port, target = site.make_key(), free_port(), free_port()
    site.start_agent(key, f"{port}:{LOOPBACK}:{target}")
    await site.attached(key)
    assert not await served(site, port)
    assert not await served(site, port)
    async with Echo(port=target):
        assert await served(site, port)


async def test_after_a_while_it_is_tried_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Echo() as echo:
        key, port, target = site.make_key(), free_port(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{target}")
        await site.attached(key)
        assert not await served(site, port)
        site.start_agent(key, f"{port}:{LOOPBACK}:{echo.port}")
        await site.attached(key, 2)
        async with Echo(port=target):
            assert await served(site, port)
            assert [tunnel.streams_total for tunnel in site.tunnels(key)] == [1, 1]  # the new one's
            monkeypatch.setattr(registry, "PASSED_OVER_SECONDS", 0.0)
            assert await served(site, port)
            assert [tunnel.streams_total for tunnel in site.tunnels(key)] == [2, 1]
