"""How much a browser has to fetch for the longest pages: 500 keys, 200 live tunnels."""

import dataclasses

import pytest
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.console import site
from aditus.control.console.static_files import StaticFiles
from aditus.control.http.limits import Limits
from aditus.control.service.sign_in import cookie_hash
from aditus.store import sessions
from aditus.store.database import Database
from tests.control_plane import REGION, ControlPlane
from tests.databases import opened_sqlite, sqlite

__all__ = ["opened_sqlite", "sqlite"]

MOST = 100_000  # bytes, without anything in the browser's cache


@pytest.mark.parametrize("page", ["", "access-keys", "tunnels"])
def test_the_longest_pages_are_light(sqlite: Database, page: str) -> None:
    plane = ControlPlane(sqlite)
    plane.fill(500)
    keys = plane.services.keys.list(plane.owner, "0", REGION, limit=500).items
    for number, key in enumerate(keys[:200]):
        tunnel = plane.relays.attach(key, 5432, 6379, 9092, 2222)
        plane.relays.live[-1] = dataclasses.replace(
            tunnel,
            tunnel_id=f"{number:012}",
            instance=f"{number:032}",
            agent_host=f"host-{number}.plant.example",
        )
    cookie = "c" * 43
    with plane.database.write() as tx:
        sessions.add(tx, "session00001", cookie_hash(cookie), "owner", "192.0.2.1", "", plane.clock.now)
    limits = Limits()
    app = create_app(plane.services, limits=limits, pages=site.routes(plane.services, limits))
    static = StaticFiles()
    with TestClient(app, base_url="https://aditus.example", cookies={"__Host-aditus": cookie}) as client:
        place = f"/console/{plane.subscription.locator}/{REGION}/{page}".rstrip("/")
        files = [static.url(name) for kind in ("css", "js", "svg") for name in static.names(kind)]
        weights = {}
        for address in (place, *files):
            with client.stream("GET", address) as answer:
                assert answer.status_code == 200
                weights[address] = sum(map(len, answer.iter_raw()))
    assert len(weights) > 8
    assert sum(weights.values()) < MOST, weights
