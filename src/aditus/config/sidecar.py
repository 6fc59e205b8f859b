"""What `aditus sidecar` is told, from its command line and the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aditus.config.address import Address, parse_host, parse_optional
from aditus.config.client_cert import ClientCert, client_cert
from aditus.config.connect import PASSWORD_ON_COMMAND_LINE, RELAY_VARIABLE
from aditus.config.files import STDIN, read_secret
from aditus.config.proxy import Proxy, proxy_for
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import RelayUrl, parse_relay_url
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText, format_app_secret, parse_app_secret
from aditus.domain.names import app_name
from aditus.sidecar.settings import LOOPBACK, LocalPort

HEALTH_LISTEN = "127.0.0.1:3128"
SECRET_VARIABLE = "ADITUS_APP_SECRET"
SOCKS_LISTEN = "127.0.0.1:1080"
HTTP_PROXY_LISTEN = "127.0.0.1:3129"
MAX_RELAYS = 16  # one link each; a region has fewer relays
MAX_LOCAL_PORTS = 1_024
MAX_PORT = 65_535

_LOCAL_PORT = re.compile(r"([0-9]{1,5})(?::([0-9]{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SidecarOptions:
    """The command line of `sidecar`, one field per option, as typed; None: not given."""

    app: str
    relays: tuple[str, ...] = ()
    secret_file: str | None = None
    listen: str | None = None
    local_ports: tuple[str, ...] = ()
    socks: str | None = None
    http_proxy: str | None = None
    links: int | None = None
    infinite_retries: bool | None = None
    log_format: Literal["text", "json"] | None = None
    log_file: Path | None = None
    debug: bool | None = None
    ca_file: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    proxy: str | None = None
    health_listen: str | None = None


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """What the sidecar's program runs with; every value is checked.

    `health_named`: the health address was asked for, so that a taken port is an error. `notices` are
    warnings to be said once, at the start.
    """

    app: str
    secret: SecretText
    relays: tuple[RelayUrl, ...]
    listen: str
    local_ports: tuple[LocalPort, ...]  # empty: those that can be reached
    socks: Address | None
    http_proxy: Address | None
    links: int
    infinite_retries: bool
    log_format: Literal["text", "json"]
    log_file: Path | None
    debug: bool
    ca_file: Path | None
    client_cert: ClientCert | None
    proxies: Mapping[RelayUrl, Proxy]
    health_listen: Address | None  # None: off
    health_named: bool
    notices: tuple[str, ...]


def sidecar_config(options: SidecarOptions, surroundings: Surroundings) -> SidecarConfig:
    """Read and check everything, offline. Raises `AditusError` (invalid), never with a secret in it."""
    relays = _relays(options.relays, surroundings)
    secret, notices = find_app_secret(options.secret_file, surroundings)
    shown = client_cert(options.client_cert, options.client_key)
    listen = LOOPBACK if options.listen is None else parse_host(options.listen, "--listen")
    socks = None if options.socks is None else Address.parse(options.socks, "--socks")
    http_proxy = None if options.http_proxy is None else Address.parse(options.http_proxy, "--http-proxy")
    proxies = {relay: proxy_for(relay, options.proxy, surroundings) for relay in relays}
    named = options.health_listen is not None
    open_doors = [
        f"{option} {address} can be reached by others than this machine, and asks nobody who they are"
        for option, address in (
            ("--listen", Address(listen, 0)),
            ("--socks", socks),
            ("--http-proxy", http_proxy),
        )
        if address is not None and not address.is_loopback
    ]
    if options.proxy is not None and "@" in options.proxy:
        open_doors.append(PASSWORD_ON_COMMAND_LINE)
    return SidecarConfig(
        app=app_name(options.app),
        secret=secret,
        relays=relays,
        listen=listen,
        local_ports=_local_ports(options.local_ports),
        socks=socks,
        http_proxy=http_proxy,
        links=options.links or 1,
        infinite_retries=bool(options.infinite_retries),
        log_format=options.log_format or "text",
        log_file=options.log_file,
        debug=bool(options.debug),
        ca_file=options.ca_file,
        client_cert=shown,
        proxies={relay: proxy for relay, proxy in proxies.items() if proxy is not None},
        health_listen=parse_optional(options.health_listen or HEALTH_LISTEN, "--health-listen"),
        health_named=named,
        notices=(*notices, *(shown.notices if shown else ()), *open_doors),
    )


def find_app_secret(file: str | None, surroundings: Surroundings) -> tuple[SecretText, tuple[str, ...]]:
    """An app's credential from this file, else from the environment, in its normal form; and warnings.

    Raises `AditusError` (invalid) that names the place.
    """
    if file is not None:
        found, notices = read_secret(file, "--secret-file", surroundings)
        source = "standard input" if file == STDIN else file
    elif variable := surroundings.variable(SECRET_VARIABLE):
        found, notices, source = SecretText(variable), (), SECRET_VARIABLE
    else:
        raise invalid(
            "no-secret",
            f"There is no credential of the app: neither --secret-file nor {SECRET_VARIABLE}.",
            remedy="Have one made with: aditus apps credential APP",
            field="app_secret",
        )
    return app_secret(found, source), notices


def app_secret(secret: SecretText, source: str) -> SecretText:
    """`secret` in its normal form, checked offline. Raises `AditusError` (invalid) that names the source."""
    try:
        parsed = parse_app_secret(secret.reveal())
    except AditusError as error:
        raise invalid(
            error.reason,
            f"The credential from {source} cannot be right. {error.message}",
            remedy=error.remedy,
            field=error.field,
        ) from None
    return format_app_secret(parsed.key_id, parsed.secret)


def _relays(texts: tuple[str, ...], surroundings: Surroundings) -> tuple[RelayUrl, ...]:
    given = texts or tuple(filter(None, [surroundings.variable(RELAY_VARIABLE)]))
    if not given:
        raise invalid(
            "no-relay",
            "It is not said which relay to dial.",
            remedy=f"Add --relay wss://host[:port], or set {RELAY_VARIABLE}.",
            field="relay",
        )
    relays = tuple(dict.fromkeys(map(parse_relay_url, given)))
    if len(relays) > MAX_RELAYS:
        raise invalid(
            "many-urls",
            f"A sidecar dials at most {MAX_RELAYS} relays.",
            remedy="Start another sidecar for the others.",
            field="relay",
        )
    return relays


def _local_ports(texts: tuple[str, ...]) -> tuple[LocalPort, ...]:
    found: dict[int, LocalPort] = {}
    for text in texts:
        parts = _LOCAL_PORT.fullmatch(text.strip())
        local = int(parts[1]) if parts else 0
        app_port = int(parts[2] or parts[1]) if parts else 0
        if not (0 < local <= MAX_PORT and 0 < app_port <= MAX_PORT):
            raise _refuse_port(f"-p is LOCAL_PORT:APP_PORT, both from 1 to {MAX_PORT}.")
        if local in found:
            raise _refuse_port(f"The local port {local} is given twice.")
        found[local] = LocalPort(local, app_port)
    if len(found) > MAX_LOCAL_PORTS:
        raise _refuse_port(f"A sidecar has at most {MAX_LOCAL_PORTS} local ports.")
    return tuple(found.values())


def _refuse_port(message: str) -> AditusError:
    return invalid(
        "bad-port",
        message,
        remedy="Write it like -p 15432:5432, or -p 5432 for the same port.",
        field="local_port",
    )
