"""Apps as load, each a question to an echo that is offered at an app port."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.ends import Conversation

PER_SECOND = 100


@dataclass
class Load:
    """New connections to a port all the time, and some that stay."""

    port: int
    done: int = 0
    slowest: float = 0.0
    """Seconds that a new connection took to be served and ended, at most."""
    failed: list[tuple[float, Exception]] = field(default_factory=list)
    """When each new connection began that was not served, by the monotonic clock, and what it met."""
    ends: list[tuple[float, bool]] = field(default_factory=list)
    """When each of those that stay was cut, by the same clock, and whether by a reset."""

    async def come_and_go(self) -> None:
        """`PER_SECOND` new connections each second, each with a question and a clean end; until cancelled."""
        loop, due = asyncio.get_running_loop(), time.monotonic()
        async with asyncio.TaskGroup() as apps:
            while True:
                apps.create_task(self._visit())
                due += 1 / PER_SECOND
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _visit(self) -> None:
        began = time.monotonic()
        try:
            with await Conversation.connect(self.port) as app:
                await app.send(b"a question")
                answer = await app.exactly(10)
                app.finish()
                assert (answer, await app.rest()) == (b"a question", b"")
        except (OSError, AssertionError) as error:
            self.failed.append((began, error))
        else:
            self.done += 1
            self.slowest = max(self.slowest, time.monotonic() - began)

    async def stay(self, app: Conversation) -> None:
        """Say something ten times a second, until it is cut."""
        was_reset = False
        with app:
            try:
                await app.send(b"still here")
                while await app.some():
                    await asyncio.sleep(0.1)
                    await app.send(b"still here")
            except ConnectionError:
                was_reset = True
        self.ends.append((time.monotonic(), was_reset))
