"""The program `aditus connect`: an agent with its log, its health page and its status line."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine
from http import HTTPStatus
from typing import Any

from aditus.agent.settings import AgentSettings
from aditus.agent.supervisor import Agent
from aditus.config.address import Address
from aditus.config.connect import ConnectConfig
from aditus.crypto.proof import KeySigner
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import parse_access_key
from aditus.net import health, tls
from aditus.net.health import Page
from aditus.net.mux import Resources
from aditus.net.status import StatusView, in_words
from aditus.telemetry import log
from aditus.telemetry.agent_metrics import AgentMetrics
from aditus.wiring import process, systemd
from aditus.wiring.agent_file import AgentFile

_log = logging.getLogger(__name__)

STATUS_SECONDS = 1.0
"""How often the status line is drawn anew."""


def run(config: ConnectConfig, status: StatusView | None = None) -> int:
    """Run an agent until it is stopped; 0 after SIGTERM, 130 after SIGINT.

    Raises `AditusError` with the reason when its last link has stopped for good. `status` shows the links
    on a terminal; the log then goes to the file alone.
    """
    _set_up_log(config, quiet=False)
    for notice in config.notices:
        _log.warning("%s", notice)
    try:
        return process.run(_main(config, status))
    except AditusError as error:
        systemd.say(f"stopped: {error}")
        if config.log_file is not None:  # the command line tells the terminal
            _set_up_log(config, quiet=True)
            _log.error("stopped: %s", error, extra=log.fields(reason=error.reason))
        raise
    finally:
        if status is not None:
            status.close()


def agent(config: ConnectConfig) -> Agent:
    """The agent of this configuration, joined to the real TLS and the real key."""
    settings = AgentSettings(
        urls=config.connect_urls,
        specs=config.specs,
        links=config.links,
        infinite_retries=config.infinite_retries,
        proxies={relay: proxy.url.reveal() for relay, proxy in config.proxies.items()},
        log_payload=config.payload,
    )
    signer = KeySigner(parse_access_key(config.secret.reveal()))
    return Agent(settings, signer, tls.client_context(config.ca_file, config.client_cert), Resources())


def _set_up_log(config: ConnectConfig, *, quiet: bool) -> None:
    level = logging.DEBUG if config.debug else logging.INFO
    log.setup(config.log_format, file=config.log_file, level=level, quiet=quiet)


async def _main(config: ConnectConfig, status: StatusView | None) -> int:
    running = agent(config)
    for relay, proxy in config.proxies.items():
        _log.info(
            "dialling through a proxy",
            extra=log.fields(relay=relay.audience, proxy=proxy.shown, named_by=proxy.source),
        )
    stopped: list[signal.Signals] = []
    server = await _serve_health(config, running)
    if status is not None:  # the terminal is the status line's from now on
        _set_up_log(config, quiet=True)
    work = asyncio.create_task(running.run())

    def stop(number: signal.Signals) -> None:
        stopped.append(number)
        systemd.stopping()
        work.cancel()

    beside = [AgentFile(config, running).follow(), systemd.show(lambda: in_words(running.rows()))]
    if status is not None:
        beside.append(_draw(running, status))
    try:
        with process.on_signals(stop):
            async with _beside(*beside):
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
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this while the block runs. What fails of it is a defect: it is told, and costs nothing else."""
    tasks = [asyncio.create_task(one) for one in work]
    for task in tasks:
        task.add_done_callback(_tell_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("something beside the tunnels failed; they go on", exc_info=error)


async def _draw(running: Agent, status: StatusView) -> None:
    while True:
        status.update(running.rows())
        await asyncio.sleep(STATUS_SECONDS)


async def _serve_health(config: ConnectConfig, running: Agent) -> asyncio.Server | None:
    if config.health_listen is None:
        return None

    def alive() -> Page:
        return Page(HTTPStatus.OK, b"ok\n")

    def ready() -> Page:
        reasons = running.not_ready()
        if not reasons:
            return Page(HTTPStatus.OK, b"ready\n")
        return Page(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{reason}\n" for reason in reasons).encode())

    figures = AgentMetrics(running.figures)

    def metrics() -> Page:
        return Page(HTTPStatus.OK, figures.render(), figures.content_type)

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
            raise bad_listen(option, address, error) from error
        _log.warning(
            "%s cannot be listened on: %s; going on without it, see %s", address, _system_says(error), option
        )
        return None


def bad_listen(option: str, address: Address, error: OSError) -> AditusError:
    """The error for an address that cannot be listened on."""
    return invalid(
        "cannot-listen",
        f"{option} {address} cannot be listened on: {_system_says(error)}.",
        remedy="Stop what uses it, or choose another address.",
        field=option.removeprefix("--").replace("-", "_"),
    )


def _system_says(error: OSError) -> str:
    """Why it failed, in the system's words: asyncio's own name the address once more."""
    if error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()
    return (error.strerror or "it failed").lower()
