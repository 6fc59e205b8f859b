"""A stream of events ends with the right to it."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

from aditus.control.api.event_stream import EventStream
from aditus.domain.errors import AditusError, Code
from tests.control_plane import ControlPlane


async def test_the_right_is_looked_at_again_and_a_lost_one_ends_the_stream(on_sqlite: ControlPlane) -> None:
    news = on_sqlite.services.news
    woken = asyncio.Event()
    follower = news.follow(on_sqlite.owner, "0", woken.set)
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            raise AditusError(Code.UNAUTHENTICATED, "bad-token", "No token.")

    sent: list[bytes] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message.get("body", b""))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    stream = EventStream(follower, woken, check, lambda: news.leave(follower), alive_seconds=0.01)
    await stream({"type": "http"}, receive, send)
    text = b"".join(sent).decode()
    assert "event: ready" in text
    assert ": alive\n\n" in text
    assert text.endswith('event: ended\ndata: {"reason": "bad-token", "detail": "No token."}\n\n')
    assert news.followers() == 0


async def test_a_client_that_hangs_up_follows_no_more(on_sqlite: ControlPlane) -> None:
    news = on_sqlite.services.news
    follower = news.follow(on_sqlite.owner, "0", lambda: None)

    async def send(message: MutableMapping[str, Any]) -> None:
        return None

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    stream = EventStream(follower, asyncio.Event(), lambda: None, lambda: news.leave(follower), 15.0)
    await stream({"type": "http"}, receive, send)
    assert news.followers() == 0
