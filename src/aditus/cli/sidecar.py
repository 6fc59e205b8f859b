"""`aditus sidecar`: the program beside an app, which leads it to its agents."""

import sys
from typing import Any

import click

from aditus.cli.dialing import dialing_options, health_option
from aditus.cli.statusline import status_line
from aditus.config.sidecar import (
    HEALTH_LISTEN,
    HTTP_PROXY_LISTEN,
    SOCKS_LISTEN,
    SidecarOptions,
    sidecar_config,
)
from aditus.config.surroundings import Surroundings
from aditus.sidecar.settings import LOOPBACK


@click.command(
    epilog="""\b
Examples:
  aditus sidecar --app shop --relay wss://relay.example.com --secret-file shop.secret
  aditus sidecar --app shop --relay wss://relay.example.com -p 15432:5432 --socks

\b
Ends with 3 if the credential is refused, 6 if the relay cannot be reached before the first attach
(10 failures, or a TLS failure)."""
)
@click.option(
    "--app",
    required=True,
    metavar="APP",
    envvar="ADITUS_APP",
    help="The name or app_id of the app beside it; or ADITUS_APP.",
)
@click.option(
    "--relay",
    "relays",
    multiple=True,
    metavar="URL",
    help="The relay to dial: wss://host[:port]; repeatable.",
)
@click.option("--secret-file", metavar="FILE", help="Read the app's credential from a file; - is stdin.")
@click.option("--listen", metavar="HOST", help=f"Where the local ports are.  [default: {LOOPBACK}]")
@click.option(
    "-p",
    "--port",
    "local_ports",
    multiple=True,
    metavar="LOCAL_PORT:APP_PORT",
    help="Have this local port, and only those that are given; repeatable."
    "  [default: one of the same number for each app port that can be reached]",
)
@click.option(
    "--socks",
    is_flag=False,
    flag_value=SOCKS_LISTEN,
    metavar="[ADDRESS]",
    help=f"Be a SOCKS 5 proxy as well, there or at {SOCKS_LISTEN}.",
)
@click.option(
    "--http-proxy",
    is_flag=False,
    flag_value=HTTP_PROXY_LISTEN,
    metavar="[ADDRESS]",
    help=f"Be an HTTP proxy (CONNECT) as well, there or at {HTTP_PROXY_LISTEN}.",
)
@dialing_options
@health_option(HEALTH_LISTEN)
def command(**options: Any) -> int:
    """Lead the app beside it to the services of its key's agents.

    The relay is dialled from here; local ports follow what can be reached. What is not offered is refused at
    once. With a proxy, an app asks for APP_PORT or for a spec's alias as a host name.

    The credential comes from --secret-file, else from ADITUS_APP_SECRET; without --relay the relay comes from
    ADITUS_RELAY. Ctrl-C ends it.
    """
    config = sidecar_config(SidecarOptions(**options), Surroundings.of_process())
    from aditus.wiring import sidecar as wiring

    with status_line(sys.stderr, wanted=not config.debug) as view:
        return wiring.run(config, view)
