"""Where a name may not lead, and what happens when it does."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from aditus.agent.addresses import only_when_named
from tests.ends import Echo, free_port
from tests.world import Site


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd20:ce::254",
    ],
)
def test_link_local_and_metadata_addresses_are_dialled_only_where_a_spec_gives_them(address: str) -> None:
    assert only_when_named(address)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "127.0.0.1", "::1", "100.100.100.201", "fd00:ec3::1", "fec0::1", "2001:db8::1"]
)
def test_all_others_are_dialled(address: str) -> None:
    assert not only_when_named(address)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names, and the addresses that the resolver answers with; others are resolved as ever."""
    known: dict[str, list[str]] = {}
    resolve = asyncio.BaseEventLoop.getaddrinfo

    async def getaddrinfo(self: Any, host: Any, port: Any, **options: Any) -> Any:
        if host in known:
            family = {True: socket.AF_INET6, False: socket.AF_INET}
            return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in known[host]]
        return await resolve(self, host, port, **options)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return known


async def test_a_name_that_leads_to_metadata_is_refused_and_dialled_nowhere(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    names["db.internal"] = ["169.254.169.254"]
    async with Site(tmp_path) as site:
        key, port = site.make_key(), free_port()
        running = site.start_agent(key, f"{port}:db.internal:80")
        await site.attached(key)
        with await site.app(port) as app:
            assert await app.cut() == b""
        assert running.agent.not_ready() == [f"spec {port}:db.internal:80: target-refused"]


async def test_of_a_names_addresses_the_others_are_dialled(
    tmp_path: Path, names: dict[str, list[str]]
) -> None:
    names["db.internal"] = ["169.254.169.254", "127.0.0.1"]
    async with Site(tmp_path) as site, Echo() as echo:
        key, port = site.make_key(), free_port()
        site.start_agent(key, f"{port}:db.internal:{echo.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"hello")
            assert await app.exactly(5) == b"hello"
