"""A relay by IPv6, and a relay by a name of which one address is dead: nobody waits for that one."""

import asyncio
import socket
import time
from pathlib import Path

import pytest

from aditus.agent.doctor import Doctor, Finding
from aditus.domain.connect_url import RelayUrl
from tests.ends import IPV6, LOOPBACK, BlackHole, Echo, free_port
from tests.world import Key, Site

DEAD_SECONDS = 1.0
"""How long a dead address may keep an agent; alone, the kernel would try it for two minutes."""


async def carries(site: Site, key: Key) -> None:
    async with Echo(IPV6) as echo:
        port = free_port()
        agent = site.start_agent(key, f"{port}:[{IPV6}]:{echo.port}")
        await site.attached(key)
        with await site.app(port) as app:
            await app.send(b"by the newer road")
            assert await app.exactly(17) == b"by the newer road"
        await agent.stop()
        await site.detached(key)


async def findings(site: Site, key: Key) -> list[Finding]:
    found: list[Finding] = []
    await Doctor([key.url], [], {}, site.trust, key.signer(), found.append).run()
    return found


async def test_a_relay_by_its_address_in_brackets(tmp_path: Path) -> None:
    async with Site(tmp_path, relay_host=IPV6) as site:
        key = site.make_key()
        key = Key(key.access_key_id, key.key_id, key.secret, key.url.at(RelayUrl(IPV6, site.relay_url.port)))
        assert str(key.url).startswith(f"wss://[::1]:{site.relay_url.port}/connect/")
        await carries(site, key)
        found = await findings(site, key)
        assert [one.verdict for one in found] == ["ok"] * 5
        assert found[0].text.startswith(f"[::1]:{site.relay_url.port} answers")


@pytest.mark.parametrize("dead", [IPV6, LOOPBACK])
@pytest.mark.parametrize("how", ["refuses", "does not answer"])
async def test_one_of_its_addresses_is_dead(
    tmp_path: Path, dead: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive = LOOPBACK if dead == IPV6 else IPV6
    families = {LOOPBACK: socket.AF_INET, IPV6: socket.AF_INET6}
    async with Site(tmp_path, relay_host=alive) as site:
        with BlackHole(dead) as hole:
            places = [
                (dead, hole.port if how == "does not answer" else free_port()),
                (alive, site.relay_url.port),
            ]
            loop = asyncio.get_running_loop()
            resolve = loop.getaddrinfo

            async def answer(host: str, *words: object, **more: object) -> object:
                if host != "localhost":
                    return await resolve(host, *words, **more)  # type: ignore[arg-type]
                return [(families[place[0]], socket.SOCK_STREAM, 6, "", place) for place in places]

            monkeypatch.setattr(loop, "getaddrinfo", answer)
            key = site.make_key()
            began = time.monotonic()
            agent = site.start_agent(key, f"{free_port()}:{LOOPBACK}:1")
            await site.attached(key)
            assert time.monotonic() - began < DEAD_SECONDS
            await agent.stop()
            await site.detached(key)
            began = time.monotonic()
            assert [one.verdict for one in await findings(site, key)] == ["ok"] * 5
            assert time.monotonic() - began < 2 * DEAD_SECONDS  # it goes there twice
