"""What `aditus serve` is told, from its command line, files and the environment."""

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from aditus.config.address import OFF, Address, parse_host, parse_optional
from aditus.config.files import read_secret
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import RelayUrl, parse_relay_url
from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText
from aditus.domain.names import region_name

API_LISTEN = "127.0.0.1:8080"
RELAY_LISTEN = "127.0.0.1:8443"
METRICS_LISTEN = "127.0.0.1:9464"
APP_LISTEN = "127.0.0.1"
REGION = "local"
DATABASE_VARIABLE = "ADITUS_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The command line of `serve`, one field per option, as typed; None: not given."""

    data: Path
    api_listen: str = API_LISTEN
    relay_listen: str = RELAY_LISTEN
    region: str = REGION
    app_listen: str = APP_LISTEN
    database_url_file: str | None = None
    public_urls: tuple[str, ...] = ()
    tls_cert: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    metrics_listen: str | None = None
    log_format: Literal["text", "json"] = "text"
    log_file: Path | None = None
    debug: bool = False


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """What the server's program runs with; every value is checked, and nothing is opened yet.

    `data` is absolute. `public_urls` is empty where the default names count, `app_listen` None where
    there are no listeners. `tls_cert` and `tls_key` are both there or both None. `metrics_named`: the
    metrics address was asked for, so that a taken port is an error. `notices` are warnings to be said once.
    """

    data: Path
    api_listen: Address
    relay_listen: Address
    region: str
    app_listen: str | None
    database_url: SecretText | None  # None: SQLite in `data`
    public_urls: tuple[RelayUrl, ...]
    tls_cert: Path | None
    tls_key: Path | None
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    metrics_listen: Address | None  # None: off
    metrics_named: bool
    log_format: Literal["text", "json"]
    log_file: Path | None
    debug: bool
    notices: tuple[str, ...]


def serve_config(options: ServeOptions, surroundings: Surroundings) -> ServeConfig:
    """Read and check everything. Raises `AditusError` (invalid), never with a secret in it."""
    if (options.tls_cert is None) != (options.tls_key is None):
        raise invalid(
            "half-tls",
            "--tls-cert and --tls-key go together, and one of them is missing.",
            remedy="Give both, or neither for the development certificate.",
            field="tls_cert" if options.tls_cert is None else "tls_key",
        )
    database_url, notices = read_database_url(options.database_url_file, surroundings)
    return ServeConfig(
        data=options.data.absolute(),
        api_listen=Address.parse(options.api_listen, "--api-listen"),
        relay_listen=Address.parse(options.relay_listen, "--relay-listen"),
        region=region_name(options.region),
        app_listen=None
        if options.app_listen.strip() == OFF
        else parse_host(options.app_listen, "--app-listen"),
        database_url=database_url,
        public_urls=tuple(dict.fromkeys(map(parse_relay_url, options.public_urls))),
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        trusted_proxies=tuple(dict.fromkeys(map(_network, options.trusted_proxies))),
        metrics_listen=parse_optional(
            METRICS_LISTEN if options.metrics_listen is None else options.metrics_listen, "--metrics-listen"
        ),
        metrics_named=options.metrics_listen is not None,
        log_format=options.log_format,
        log_file=options.log_file,
        debug=options.debug,
        notices=notices,
    )


def read_database_url(
    file: str | None, surroundings: Surroundings
) -> tuple[SecretText | None, tuple[str, ...]]:
    """The URL of a PostgreSQL, from `--database-url-file`, else from the environment, and warnings.

    None: there is none. Raises `AditusError` (invalid).
    """
    if file is None:
        variable = surroundings.variable(DATABASE_VARIABLE)
        return (SecretText(variable) if variable else None), ()
    url, notices = read_secret(file, "--database-url-file", surroundings)
    if not url.reveal():
        raise invalid(
            "no-database-url",
            "The file of --database-url-file is empty.",
            remedy="Write one line into it: postgresql://user:password@host/name.",
            field="database_url_file",
        )
    return url, notices


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(text.strip())
    except ValueError:
        raise invalid(
            "bad-network",
            "--trusted-proxy is neither an address nor a network (whose bits after the prefix are zero).",
            remedy="Write it like 10.0.0.7, 10.0.0.0/8 or fd00::/8.",
            field="trusted_proxy",
        ) from None
