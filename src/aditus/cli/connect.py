"""`aditus connect`: the agent in the private network."""

import sys
from pathlib import Path
from typing import Any

import click

from aditus.cli.dialing import dialing_options, health_option
from aditus.cli.statusline import status_line
from aditus.cli.tibtunnel import Flag, TibtunnelCommand, refuse_basic_auth
from aditus.config.connect import HEALTH_LISTEN, ConnectOptions, connect_config
from aditus.config.profiles import DEFAULT
from aditus.config.surroundings import Surroundings


@click.command(
    cls=TibtunnelCommand,
    epilog="""\b
A SPEC is appPort:host:port, or host:port for the same port; IPv6 stands in brackets.
After it may follow ,proxy-protocol (tell the service the app's address), ,probe=SECONDS (try it) and
,alias=NAME (what apps may call it at a sidecar's proxy).

\b
Examples:
  aditus connect -s 5432:db.internal:5432 wss://relay.example.com/connect/4gT…
  aditus connect --profile eu --relay wss://relay.example.com -s db.internal:5432 -s 8080:[::1]:80

\b
Ends with 3 if the key is refused, 4 if there is no such Connect URL, 6 if the relay cannot be
reached before the first attach (10 failures, or a TLS failure).""",
)
@click.argument("connect_urls", metavar="[CONNECT_URL]...", nargs=-1)
@click.option("-s", "--spec", "specs", multiple=True, metavar="SPEC", help="A service to offer; repeatable.")
@click.option("--profile", metavar="NAME", help=f"Whose key and relay to use.  [default: {DEFAULT}]")
@click.option("--relay", metavar="URL", help="Where to dial without a Connect URL: wss://host[:port].")
@click.option("--access-key-file", metavar="FILE", help="Read the secret access key from a file; - is stdin.")
@click.option("-a", "--accessKey", "--access-key", "access_key", hidden=True)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Read options from this TOML file; specs that change in it are changed at once.",
)  # fmt: skip
@click.option(
    "--config-dir", type=click.Path(path_type=Path), help="Where profiles are.  [default: ~/.aditus]"
)
@dialing_options
@click.option("--network-check-url", metavar="URL", help="Accepted for tibtunnel's sake.")
@click.option(
    "--payload/--no-payload", cls=Flag, help="With --debug: log what passes, too (not for production)."
)
@click.option("--data-chunk-size", metavar="KB", help="Accepted for tibtunnel's sake; no meaning here.")
@click.option("--data-ack-mode/--no-data-ack-mode", cls=Flag, help="Accepted for tibtunnel's sake.")
@click.option("--remote-debug/--no-remote-debug", cls=Flag, help="Accepted for tibtunnel's sake.")
@health_option(HEALTH_LISTEN)
@click.option("--basicauth/--no-basicauth", cls=Flag, hidden=True)
@click.option("--user", hidden=True)
@click.option("--password", hidden=True)
def command(basicauth: bool | None, user: str | None, password: str | None, **options: Any) -> int:
    """Offer services of this network to apps in the cloud.

    The tunnel is dialled from inside; no port is opened.

    The secret comes from --access-key-file, else ADITUS_ACCESS_KEY, else the profile; without a Connect URL
    the relay comes from --relay, else ADITUS_RELAY, else the profile. Ctrl-C ends it.
    """
    refuse_basic_auth(basicauth or None, user, password)
    config = connect_config(ConnectOptions(**options), Surroundings.of_process())
    from aditus.wiring import connect as wiring

    with status_line(sys.stderr, wanted=not config.debug) as view:
        return wiring.run(config, view)
