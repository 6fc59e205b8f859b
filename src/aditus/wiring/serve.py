"""The program `aditus serve`: control plane, one relay and their database in one process.

The relay runs on the main thread's loop and does nothing else there; the control plane runs in a thread of
its own, with a pool for its SQL, so that neither Argon2 nor a page ever delays a byte.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from aditus.config.address import Address
from aditus.config.serve import ServeConfig
from aditus.control.api.app import create_app
from aditus.control.console import site as console
from aditus.control.http.limits import Limits
from aditus.control.service import bootstrap, services
from aditus.control.service.news import News
from aditus.crypto import devca
from aditus.crypto.proof import Ed25519Verifier
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError, invalid
from aditus.net import tcp, tls
from aditus.net.health import Page
from aditus.net.mux import Resources
from aditus.relay.relay import Relay
from aditus.relay.settings import RelaySettings
from aditus.store.database import Database, open_database
from aditus.telemetry import log
from aditus.telemetry.server_metrics import ServerMetrics
from aditus.wiring import banner, data_folder, process, rounds, systemd
from aditus.wiring.api_thread import ApiThread
from aditus.wiring.bridge import LocalRelay
from aditus.wiring.dialing import listen_or_warn
from aditus.wiring.follower import Follower

_log = logging.getLogger(__name__)

DRAIN_SECONDS = 10.0
"""What SIGTERM gives to running streams. A second signal ends them at once."""
METRICS_SECONDS = 5.0
COUNT_SECONDS = 30.0
DEFAULT_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, and what it made at its first start."""

    api_url: str
    relay_url: str
    relay_address: Address
    relay: Relay
    ca_file: str  # empty when a certificate of one's own is served
    made: bootstrap.Bootstrap
    has_others: Callable[[], bool]  # whether other relays serve the region; blocks


def run(config: ServeConfig) -> int:
    """Serve until SIGTERM (0) or SIGINT (130). Raises `AditusError` when it cannot start."""
    if (
        sys.platform == "win32"
    ):  # listeners for apps need a loop that hands out readers, and more than 512 sockets
        raise invalid(
            "no-server-here",
            "The server does not run on Windows; the agent does.",
            remedy="Run it on Linux or macOS, or in a container.",
        )
    level = logging.DEBUG if config.debug else logging.INFO
    log.setup(config.log_format, file=config.log_file, level=level)
    for notice in config.notices:
        _log.warning("%s", notice)
    return process.run(_main(config))


async def _main(config: ServeConfig) -> int:
    stop: asyncio.Queue[signal.Signals] = asyncio.Queue()
    with process.on_signals(stop.put_nowait):
        async with serving(config) as server:
            banner.show(
                config,
                sys.stderr,
                api_url=server.api_url,
                relay_url=server.relay_url,
                relay_address=server.relay_address,
                ca_file=server.ca_file,
                first_start=server.made.first is not None,
                has_owner_token=(config.data / data_folder.OWNER_TOKEN).exists(),
            )
            _log.info("serving")
            systemd.ready()
            systemd.say(f"serving: relay {server.relay_url}, API {server.api_url}")
            number = await stop.get()
            systemd.stopping()
            _log.info("stopping", extra=log.fields(signal=number.name, streams=server.relay.live_streams()))
            if number == signal.SIGTERM:
                await _drain(server, stop)
            return 130 if number == signal.SIGINT else 0


async def _drain(server: Server, stop: "asyncio.Queue[signal.Signals]") -> None:
    server.relay.drain(DRAIN_SECONDS, alone=not await asyncio.to_thread(server.has_others))
    waits = {asyncio.create_task(server.relay.drained()), asyncio.create_task(stop.get())}
    await asyncio.wait(waits, timeout=DRAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


@contextlib.asynccontextmanager
async def serving(config: ServeConfig) -> AsyncIterator[Server]:
    """A whole server on the running loop, from its folder to its last socket. Raises `AditusError`."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(data_folder.held(config.data))
        api_socket = stack.enter_context(_listening("--api-listen", config.api_listen))
        relay_socket = stack.enter_context(_listening("--relay-listen", config.relay_listen))
        metrics = ServerMetrics()
        scrape = await _serve_metrics(config, metrics)
        if scrape is not None:
            stack.callback(scrape.close)
        relay_port = relay_socket.getsockname()[1]
        names = config.public_urls or tuple(RelayUrl(name, relay_port) for name in DEFAULT_NAMES)
        api_host = _api_host(config, names[0])
        if config.tls_cert is not None and config.tls_key is not None:
            certificate, key, ca_file = config.tls_cert, config.tls_key, ""
        else:
            files = _development_tls(folder, [*(url.host for url in names), api_host])
            certificate, key, ca_file = files.certificate, files.key, str(files.ca)
        relay_tls = tls.server_context(certificate, key)
        database = await asyncio.to_thread(open_database, _database_url(config))
        stack.callback(database.close)
        made = await asyncio.to_thread(_bootstrap, config, database, names[0])
        if made.relay_url_changed:
            _log.warning(
                "Connect URLs now begin with another relay URL", extra=log.fields(relay=made.relay_url)
            )
        resources = Resources()
        api_address = Address(api_host, api_socket.getsockname()[1])
        settings = RelaySettings(
            region=config.region,
            audiences=tuple(url.audience for url in names),
            app_listen=config.app_listen,
            trusted_proxies=config.trusted_proxies,
            reserved_ports=frozenset(
                {api_address.port, relay_port, config.metrics_listen.port if config.metrics_listen else 0}
            ),
        )
        relay = Relay(settings, Ed25519Verifier(), resources)
        loop = asyncio.get_running_loop()
        local = LocalRelay(relay, loop, metrics)
        use_cases = services.build(database, local)
        relay.tunnel_changed = use_cases.news.tunnel
        use_cases.news.counted = metrics.key_changed
        database.timed = metrics.transaction
        metrics.event_followers.set_function(use_cases.news.followers)
        follower = Follower(database, use_cases.feed, config.region)
        await asyncio.to_thread(follower.join)
        async with asyncio.TaskGroup() as tasks:
            await relay.start(relay_socket, relay_tls, tasks)
            behind_proxy = bool(config.trusted_proxies)
            api_tls = None if config.api_listen.is_loopback or behind_proxy else (certificate, key)
            limits = Limits()
            development_ca = await asyncio.to_thread(Path(ca_file).read_bytes) if ca_file else b""
            api = ApiThread(
                create_app(
                    use_cases,
                    ready=lambda: relay.accepting,
                    limits=limits,
                    pages=console.routes(use_cases, limits, development_ca, {config.region}),
                    answered=metrics.request,
                ),
                api_socket,
                api_tls,
                config.trusted_proxies,
                only_trusted=behind_proxy and not config.api_listen.is_loopback,
            )
            measuring = tasks.create_task(_measure(relay, metrics))
            counting = tasks.create_task(_count(use_cases.news, metrics))
            follower.start()
            stop_rounds = rounds.start(tasks, relay, use_cases, config.region)
            api.start()
            try:
                yield Server(
                    api_url=f"{'https' if api_tls else 'http'}://{api_address}",
                    relay_url=str(names[0]),
                    relay_address=Address(config.relay_listen.host, relay_port),
                    relay=relay,
                    ca_file=ca_file,
                    made=made,
                    has_others=follower.others,
                )
            finally:
                measuring.cancel()
                counting.cancel()
                use_cases.news.close()  # else who follows events would hold up the end
                relay.close()
                await stop_rounds()
                await asyncio.to_thread(api.stop)
                await asyncio.to_thread(follower.stop)


def _bootstrap(config: ServeConfig, database: Database, relay_url: RelayUrl) -> bootstrap.Bootstrap:
    def hand_over(first: bootstrap.FirstStart) -> None:
        data_folder.write_owner_token(config.data, first.token)
        print(f"password: {first.password.reveal()}", flush=True)  # noqa: T201  the one time it is shown

    return bootstrap.ensure(database, config.region, str(relay_url), time.time(), hand_over)


def _database_url(config: ServeConfig) -> str:
    if config.database_url is not None:
        return config.database_url.reveal()
    return f"sqlite:///{config.data / 'aditus.db'}"


@contextlib.contextmanager
def _listening(option: str, address: Address) -> Iterator[tcp.ListeningSocket]:
    """A socket that listens, before anything is made, so that a taken port changes nothing.

    Who connects from now on waits until the server is up, and is not refused.
    """
    try:
        sock = tcp.listening_socket(address.host, address.port)
    except OSError as error:
        raise tcp.cannot_listen(option, str(address), error) from error
    with sock:
        try:
            sock.listen(tcp.BACKLOG)
        except OSError as error:  # two that start at the same moment can both bind it
            raise tcp.cannot_listen(option, str(address), error) from error
        yield sock


def _api_host(config: ServeConfig, public: RelayUrl) -> str:
    """How the API is called in URLs: 0.0.0.0 and [::] are no names, so there by the relay's public one."""
    host = config.api_listen.host
    return public.host if host in ("0.0.0.0", "::") else host  # noqa: S104  compared, not bound


def _development_tls(folder: Path, names: list[str]) -> devca.DevTls:
    try:
        return devca.ensure(folder, names, time.time())
    except OSError as error:
        raise invalid(
            "dev-ca-unusable",
            f"The development certificates in {folder} cannot be read or written:"
            f" {(error.strerror or 'it failed').lower()}.",
            remedy="Make ca.pem, ca-key.pem, server.pem and server-key.pem readable files, or restore them.",
        ) from error


async def _serve_metrics(config: ServeConfig, metrics: ServerMetrics) -> asyncio.Server | None:
    if config.metrics_listen is None:
        return None

    def page() -> Page:
        return Page(HTTPStatus.OK, metrics.render(), metrics.content_type)

    pages = {"/metrics": page}
    return await listen_or_warn("--metrics-listen", config.metrics_listen, config.metrics_named, pages)


async def _count(news: News, metrics: ServerMetrics) -> None:
    """Carry over what only the database knows."""
    while True:
        try:
            figures = await asyncio.to_thread(news.figures)
        except AditusError as error:
            _log.warning("keys and quotas are not counted now: %s", error)
        else:
            for (region, subscription), quota in figures.quotas.items():
                metrics.access_keys.labels(region, subscription).set(quota.used)
                metrics.access_keys_limit.labels(region, subscription).set(quota.limit)
            for days, keys in figures.expiring.items():
                metrics.keys_expiring.labels(str(days)).set(keys)
        await asyncio.sleep(COUNT_SECONDS)


async def _measure(relay: Relay, metrics: ServerMetrics) -> None:
    """Carry the relay's counts over to the metrics, and see how late the loop wakes up."""
    counted = relay.totals()
    refused: dict[str, int] = {}
    dropped = 0
    while True:
        due = time.monotonic() + METRICS_SECONDS
        await asyncio.sleep(METRICS_SECONDS)
        metrics.loop_lag_seconds.set(max(0.0, time.monotonic() - due))
        now = relay.totals()
        metrics.tunnels.set(now.tunnels)
        metrics.streams.set(now.streams)
        metrics.streams_total.inc(now.streams_total - counted.streams_total)
        metrics.bytes_in.inc(now.bytes_in - counted.bytes_in)
        metrics.bytes_out.inc(now.bytes_out - counted.bytes_out)
        metrics.violations.inc(now.violations - counted.violations)
        metrics.dropped_records.inc(relay.reporter.dropped_streams - dropped)
        dropped = relay.reporter.dropped_streams
        for reason, count in relay.refusals.items():
            metrics.refused(reason, count - refused.get(reason, 0))
        counted, refused = now, dict(relay.refusals)
