"""`aditus serve`: control plane and relay in one process."""

from pathlib import Path
from typing import Any

import click

from aditus.cli.installed import server_needed
from aditus.config import serve as defaults
from aditus.config.serve import ServeOptions, serve_config
from aditus.config.surroundings import Surroundings

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    epilog="""\b
Examples:
  aditus serve --data /var/lib/aditus
  aditus serve --data /var/lib/aditus --relay-listen 0.0.0.0:443 \\
      --public-url wss://relay.example.com --tls-cert relay.pem --tls-key relay.key""",
)
@click.option("--data", required=True, type=click.Path(path_type=Path), help="The folder of database and CA.")
@click.option(
    "--api-listen", default=defaults.API_LISTEN, show_default=True, metavar="ADDRESS", help="REST API."
)
@click.option(
    "--relay-listen",
    default=defaults.RELAY_LISTEN,
    show_default=True,
    metavar="ADDRESS",
    help="Agents, over TLS.",
)
@click.option(
    "--region", default=defaults.REGION, show_default=True, help="The region that this relay serves."
)
@click.option(
    "--app-listen", default=defaults.APP_LISTEN, show_default=True, metavar="HOST|off",
    help="Where apps find the offered ports.",
)  # fmt: skip
@click.option(
    "--database-url-file", metavar="FILE",
    help=f"Has the URL of a PostgreSQL in it (or {defaults.DATABASE_VARIABLE}).  [default: SQLite in --data]",
)  # fmt: skip
@click.option(
    "--public-url", "public_urls", multiple=True, metavar="URL",
    help="A name that agents dial, wss://host[:port]; repeatable.  [default: this machine's loopback names]",
)  # fmt: skip
@click.option("--tls-cert", type=_FILE, help="Certificate chain (PEM).  [default: one of the development CA]")
@click.option("--tls-key", type=_FILE, help="Its private key (PEM).")
@click.option(
    "--trusted-proxy", "trusted_proxies", multiple=True, metavar="CIDR",
    help="A proxy in front of the API, which may then speak plain HTTP with it alone; repeatable.",
)  # fmt: skip
@click.option(
    "--metrics-listen", metavar="ADDRESS", help=f"/metrics; or off.  [default: {defaults.METRICS_LISTEN}]"
)
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="Also of --log-file.")
@click.option("--log-file", type=_FILE, help="Log there, too (rotated).")
@click.option("-d", "--debug", is_flag=True, help="Log what happens inside.")
def command(**options: Any) -> int:
    """Run control plane and relay, with all they need in one folder.

    SIGTERM lets running streams finish for some seconds, Ctrl-C ends everything at once.
    """
    config = serve_config(ServeOptions(**options), Surroundings.of_process())
    with server_needed():
        from aditus.wiring import serve as wiring
    return wiring.run(config)
