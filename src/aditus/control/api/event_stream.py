"""What happens in a subscription, as server-sent events."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from aditus.control.api.answers import KeyAnswer, QuotaAnswer, TunnelAnswer
from aditus.control.api.asking import SUBSCRIPTION, Asks, Locator
from aditus.control.service.hub import Follower
from aditus.control.service.news import News
from aditus.control.service.tunnels import Tunnels
from aditus.domain.errors import AditusError
from aditus.domain.happenings import Event, KeyEvent, QuotaEvent
from aditus.domain.relays import TunnelView

MEDIA_TYPE = "text/event-stream"
ALIVE_SECONDS = 15.0
"""Between two signs of life, and two looks whether the caller may follow still."""
SEND_SECONDS = 30.0
"""What a reader that takes nothing is given."""
RETRY_MILLISECONDS = 3_000
TRAFFIC_SECONDS = 1.0
"""Between two looks at what each tunnel carries, for those who ask for them."""


class EventStream(Response):
    """Sends what a follower is given until it lags, leaves or may follow no more."""

    def __init__(
        self,
        follower: Follower,
        woken: asyncio.Event,
        check: Callable[[], None],
        leave: Callable[[], None],
        alive_seconds: float,
        traffic: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._follower = follower
        self._woken = woken
        self._check = check
        self._leave = leave
        self._alive_seconds = alive_seconds
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        talking = loop.create_task(self._talk(send))
        listening = loop.create_task(_gone(receive))
        try:
            await asyncio.wait({talking, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leave()
            for task in (talking, listening):
                task.cancel()
            await asyncio.gather(talking, listening, return_exceptions=True)
        if not talking.cancelled():
            talking.result()  # a defect in it is this request's

    async def _talk(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with contextlib.suppress(TimeoutError):  # it takes nothing: all that is left for it is the end
            await self._follow(send)
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _follow(self, send: Send) -> None:
        async def tell(text: str) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await tell(f"retry: {RETRY_MILLISECONDS}\n\n{_event('ready', {})}")
        loop = asyncio.get_running_loop()
        due = loop.time() + self._alive_seconds
        measured = math.inf if self._traffic is None else loop.time()
        while not self._follower.closed:
            try:
                async with asyncio.timeout_at(min(due, measured)):
                    await self._woken.wait()
            except TimeoutError:
                try:
                    if self._traffic is not None and measured <= loop.time():
                        measured = loop.time() + TRAFFIC_SECONDS
                        await tell(await run_in_threadpool(self._traffic))
                    if due <= loop.time():
                        due = loop.time() + self._alive_seconds
                        await run_in_threadpool(self._check)
                        await tell(": alive\n\n")
                except AditusError as error:
                    await tell(_event("ended", {"reason": error.reason, "detail": error.message}))
                    return
                continue
            self._woken.clear()
            if text := "".join(map(_text, self._follower.take())):
                await tell(text)
            if self._follower.lagged:
                await tell(_event("lagged", {}))
                return


def router(news: News, tunnels: Tunnels, alive_seconds: float = ALIVE_SECONDS) -> APIRouter:
    """The route of events."""
    routes = APIRouter(prefix=SUBSCRIPTION, tags=["events"])

    @routes.get(
        "/events",
        status_code=200,
        response_class=EventStream,
        responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}}},
    )
    async def follow_events(
        request: Request, caller: Asks, locator: Locator, traffic: bool = False
    ) -> EventStream:
        """Follow what happens to keys, tunnels and quotas, from now on.

        The first event is `ready`: what happens after it is told, so read the lists then. `key` has an access
        key; `tunnel` a `change` (attached, offered, gone) and the `tunnel`; `quota` a `region`, what is
        `used`, and the `limit`. `lagged` and `ended` are the last: events were lost, or the caller may follow
        no more. With `traffic` there is one of this name each second: `at` in Unix seconds, and by tunnel_id
        the `tunnels` with `streams`, `bytes_in`, `bytes_out` and `rtt_ms` (or null). Events have no id, and
        none is sent twice: after a reconnect read the lists anew.
        """
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        ask_again = request.state.ask_again

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody reads any more
                loop.call_soon_threadsafe(woken.set)

        def check() -> None:
            news.check(ask_again(), locator)

        def measure() -> str:
            return _traffic(tunnels.list(caller, locator))

        follower = await run_in_threadpool(news.follow, caller, locator, wake)
        return EventStream(
            follower,
            woken,
            check,
            lambda: news.leave(follower),
            alive_seconds,
            measure if traffic else None,
        )

    return routes


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _text(event: Event) -> str:
    if isinstance(event, KeyEvent):
        return _event("key", KeyAnswer.model_validate(event.key).model_dump(mode="json"))
    if isinstance(event, QuotaEvent):
        quota = QuotaAnswer.model_validate(event.quota).model_dump(mode="json")
        return _event("quota", {"region": event.quota.region, **quota})
    tunnel = TunnelAnswer.model_validate(event.tunnel).model_dump(mode="json")
    return _event("tunnel", {"change": event.change.value, "tunnel": tunnel})


def _traffic(tunnels: Iterable[TunnelView]) -> str:
    figures = {
        one.tunnel_id: {
            "streams": one.streams,
            "bytes_in": one.bytes_in,
            "bytes_out": one.bytes_out,
            "rtt_ms": one.rtt_ms,
        }
        for one in tunnels
    }
    return _event("traffic", {"at": time.time(), "tunnels": figures})


def _event(kind: str, data: Mapping[str, object]) -> str:
    """JSON has no line break, so that it fits into one `data` line."""
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"
