"""Over everything real: what a scrape reads of keys, the API, the database and events is what happened."""

import asyncio
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aditus.domain.errors import AditusError
from tests.ends import LOOPBACK, PATIENCE, free_port
from tests.world import REGION, World

DAY = 86_400.0
Scrape: TypeAlias = dict[tuple[str, ...], float]
"""Every sample of ours by its name and the values of its labels, in the order of their names."""


class Scraper:
    """Reads `/metrics` as Prometheus does."""

    def __init__(self) -> None:
        self.port = free_port()

    def _read(self) -> Scrape:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name.startswith("aditus_")
        }

    async def read(self) -> Scrape:
        return await asyncio.to_thread(self._read)

    async def until(self, holds: Callable[[Scrape], bool]) -> Scrape:
        """The first scrape for which this holds: some figures are carried over now and then."""
        async with asyncio.timeout(PATIENCE):
            while not holds(read := await self.read()):
                pass
        return read


async def test_quotas_and_keys_that_will_expire_are_those_of_the_database(tmp_path: Path) -> None:
    scraper = Scraper()
    async with World(tmp_path) as world:  # the next one counts what this one leaves
        for name, days in (("today", 0.5), ("this week", 5), ("next week", 10), ("in a month", 30)):
            await world.key(name, expires_at=time.time() + days * DAY)
        await world.revoke(await world.key("never"))
        info = await asyncio.to_thread(world.client.userinfo)
    async with World(tmp_path, metrics_port=scraper.port):
        place = (REGION, info.subscriptions[0].locator)
        read = await scraper.until(lambda read: ("aditus_keys_expiring", "1") in read)
        assert read["aditus_access_keys", *place] == 4
        assert read["aditus_access_keys_limit", *place] == 500
        assert read["aditus_keys_expiring", "1"] == 1
        assert read["aditus_keys_expiring", "7"] == 2
        assert read["aditus_keys_expiring", "14"] == 3


async def test_changes_of_keys_are_counted_by_the_state_that_they_lead_to(tmp_path: Path) -> None:
    scraper = Scraper()
    async with World(tmp_path, metrics_port=scraper.port) as world:
        one, two = await world.key("one"), await world.key("two")
        await asyncio.to_thread(world.client.suspend_key, "one")
        await asyncio.to_thread(world.client.resume_key, "one")
        await world.revoke(one, two)
        read = await scraper.read()
        assert read["aditus_key_changes_total", "active"] == 3
        assert read["aditus_key_changes_total", "suspended"] == 1
        assert read["aditus_key_changes_total", "revoked"] == 2


async def test_requests_and_transactions_are_timed(tmp_path: Path) -> None:
    scraper = Scraper()
    async with World(tmp_path, metrics_port=scraper.port) as world:
        await world.key("one")
        before = await scraper.read()
        for _ in range(3):
            await asyncio.to_thread(world.client.userinfo)
        await world.revoke(await world.key("two"))
        with pytest.raises(AditusError):
            await asyncio.to_thread(world.client.show_key, "three")
        read = await scraper.read()
        requests, transactions = "aditus_api_request_seconds", "aditus_database_seconds"
        assert read[f"{requests}_count", "2xx"] == before[f"{requests}_count", "2xx"] + 5
        assert read[f"{requests}_count", "4xx"] == 1
        assert read[f"{transactions}_count", "read"] >= before[f"{transactions}_count", "read"] + 4
        assert read[f"{transactions}_count", "write"] >= before[f"{transactions}_count", "write"] + 2
        timed = ((requests, "2xx"), (requests, "4xx"), (transactions, "read"), (transactions, "write"))
        for name, label in timed:
            assert 0 < read[f"{name}_sum", label] < PATIENCE


async def test_followers_of_events_are_counted_while_they_follow(tmp_path: Path) -> None:
    scraper = Scraper()
    async with World(tmp_path, metrics_port=scraper.port) as world:
        assert (await scraper.read())["aditus_event_followers",] == 0
        following = world.client.events()
        await asyncio.to_thread(following.__enter__)
        assert (await scraper.read())["aditus_event_followers",] == 1
        await asyncio.to_thread(following.__exit__, None, None, None)
        await scraper.until(lambda read: read["aditus_event_followers",] == 0)
