"""What the programs that dial relays have in common: log, health page, status line, signals and their end."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Protocol

from aditus.config.address import Address
from aditus.config.proxy import Proxy
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError
from aditus.net import health, tcp
from aditus.net.health import Page
from aditus.telemetry import log
from aditus.telemetry.link_metrics import DialerMetrics
from aditus.telemetry.status import LinkRow, StatusView, in_words
from aditus.wiring import process, systemd

_log = logging.getLogger(__name__)

STATUS_SECONDS = 1.0
"""How often the status line is drawn anew."""

Work = Callable[[], Coroutine[Any, Any, None]]


class Config(Protocol):
    """What such a program is told, besides what is its own."""

    @property
    def log_format(self) -> Literal["text", "json"]: ...
    @property
    def log_file(self) -> Path | None: ...
    @property
    def debug(self) -> bool: ...
    @property
    def notices(self) -> tuple[str, ...]: ...
    @property
    def proxies(self) -> Mapping[RelayUrl, Proxy]: ...
    @property
    def health_listen(self) -> Address | None: ...
    @property
    def health_named(self) -> bool: ...


class Dialing(Protocol):
    """An agent or a sidecar."""

    async def run(self) -> AditusError: ...
    def rows(self) -> list[LinkRow]: ...
    def not_ready(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Program:
    """One that is built on its loop: what runs, what is counted of it, and what is done beside."""

    dialing: Dialing
    metrics: DialerMetrics
    beside: tuple[Work, ...] = ()


def run(config: Config, build: Callable[[], Program], status: StatusView | None) -> int:
    """Run it until it is stopped; 0 after SIGTERM, 130 after SIGINT.

    Raises `AditusError` with the reason when its last link has stopped for good. `status` shows the links
    on a terminal; the log then goes to the file alone.
    """
    _set_up_log(config, quiet=False)
    for notice in config.notices:
        _log.warning("%s", notice)
    try:
        return process.run(_main(config, build, status))
    except AditusError as error:
        systemd.say(f"stopped: {error}")
        if config.log_file is not None:  # the command line tells the terminal
            _set_up_log(config, quiet=True)
            _log.error("stopped: %s", error, extra=log.fields(reason=error.reason))
        raise
    finally:
        if status is not None:
            status.close()


def _set_up_log(config: Config, *, quiet: bool) -> None:
    level = logging.DEBUG if config.debug else logging.INFO
    log.setup(config.log_format, file=config.log_file, level=level, quiet=quiet)


async def _main(config: Config, build: Callable[[], Program], status: StatusView | None) -> int:
    program = build()
    running = program.dialing
    for relay, proxy in config.proxies.items():
        _log.info(
            "dialling through a proxy",
            extra=log.fields(relay=relay.audience, proxy=proxy.shown, named_by=proxy.source),
        )
    stopped: list[signal.Signals] = []
    server = await _serve_health(config, program)
    if status is not None:  # the terminal is the status line's from now on
        _set_up_log(config, quiet=True)
    work = asyncio.create_task(running.run())

    def stop(number: signal.Signals) -> None:
        stopped.append(number)
        systemd.stopping()
        work.cancel()

    beside: list[Work] = [*program.beside, lambda: systemd.show(lambda: in_words(running.rows()))]
    if status is not None:
        beside.append(lambda: _draw(running, status))
    try:
        with process.on_signals(stop):
            async with _beside(beside):
                await asyncio.sleep(0)  # then SIGHUP is heard, too
                systemd.ready()  # not only when attached: a relay that is away is nothing to restart for
                raise await work
    except asyncio.CancelledError:
        if not stopped:
            raise
        _log.info("stopped by %s", stopped[0].name)
        return 130 if stopped[0] == signal.SIGINT else 0
    finally:
        if server is not None:
            server.close()
            await server.wait_closed()


@contextlib.asynccontextmanager
async def _beside(works: Sequence[Work]) -> AsyncIterator[None]:
    """Do this while the block runs. What fails of it is a defect: it is told, and costs nothing else."""
    tasks = [asyncio.create_task(_told(work)) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _told(work: Work) -> None:
    # The coroutine is made here, when it is run: one that is cancelled before would complain of it.
    try:
        await work()
    except Exception:  # noqa: BLE001  whatever it is
        _log.exception("something beside the tunnels failed; they go on")


async def _draw(running: Dialing, status: StatusView) -> None:
    while True:
        status.update(running.rows())
        await asyncio.sleep(STATUS_SECONDS)


async def _serve_health(config: Config, program: Program) -> asyncio.Server | None:
    if config.health_listen is None:
        return None

    def alive() -> Page:
        return Page(HTTPStatus.OK, b"ok\n")

    def ready() -> Page:
        reasons = program.dialing.not_ready()
        if not reasons:
            return Page(HTTPStatus.OK, b"ready\n")
        return Page(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{reason}\n" for reason in reasons).encode())

    def metrics() -> Page:
        return Page(HTTPStatus.OK, program.metrics.render(), program.metrics.content_type)

    pages = {"/healthz": alive, "/readyz": ready, "/metrics": metrics}
    return await listen_or_warn("--health-listen", config.health_listen, config.health_named, pages)


async def listen_or_warn(
    option: str, address: Address, named: bool, pages: health.Pages
) -> asyncio.Server | None:
    """Serve these pages. A taken port is an error when the address was asked for, else a warning."""
    try:
        return await health.serve(address.host, address.port, pages)
    except OSError as error:
        if named:
            raise tcp.cannot_listen(option, str(address), error) from error
        _log.warning(
            "%s cannot be listened on: %s; going on without it, see %s", address, tcp.why_not(error), option
        )
        return None
