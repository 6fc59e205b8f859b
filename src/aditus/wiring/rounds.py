"""What a server does again and again beside serving. One that fails is logged, and costs no connection."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from aditus.control.service import expiry
from aditus.control.service.services import Services
from aditus.domain.errors import AditusError
from aditus.relay.relay import Relay

REPORT_SECONDS = 1.0
SIGN_IN_SECONDS = 10.0
USES_SECONDS = 30.0
"""How often the keys of all live tunnels are noted as used: so `last_used_at` is no older than a minute."""

_log = logging.getLogger(__name__)


def start(
    tasks: asyncio.TaskGroup, relay: Relay, services: Services, region: str
) -> Callable[[], Awaitable[None]]:
    """Begin all rounds; returns what ends them when the relay is closed, and keeps its last report."""
    report = _report(relay, services, region)
    refused_sign_ins = partial(asyncio.to_thread, services.sign_in.keep_refused)
    rounds = [
        tasks.create_task(_every(REPORT_SECONDS, report)),
        tasks.create_task(_every(expiry.SECONDS, lambda: asyncio.to_thread(services.expiry.warn))),
        tasks.create_task(_every(SIGN_IN_SECONDS, refused_sign_ins)),
    ]

    async def stop() -> None:
        for each in rounds:
            each.cancel()
        await asyncio.wait(rounds)
        await _once(report)
        await _once(refused_sign_ins)

    return stop


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await _once(work)
        await asyncio.sleep(seconds)


async def _once(work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except AditusError as error:
        _log.warning("will be tried again: %s", error)
    except Exception:  # noqa: BLE001  a defect here is not worth the relay's life
        _log.exception("a round failed")


def _report(relay: Relay, services: Services, region: str) -> Callable[[], Awaitable[None]]:
    """Have the control plane keep what the relay saw.

    What cannot be kept, because the database is away, is lost: it is not worth any memory.
    """
    noted_at = time.monotonic()

    async def report() -> None:
        nonlocal noted_at
        if time.monotonic() - noted_at >= USES_SECONDS:
            noted_at = time.monotonic()
            relay.note_uses()
        if seen := relay.reporter.take():
            await asyncio.to_thread(services.reports.take, region, seen)

    return report
