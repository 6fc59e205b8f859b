"""`aditus tunnels`: which agents are attached now, and what passes."""

import sys
import time
from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api
from aditus.cli.output import Format, output_option, say, size, table, terminal, when, write_json, write_table
from aditus.domain.relays import PortStatus, TunnelView

if TYPE_CHECKING:
    from aditus.client.rest import Client

COLUMNS = (
    *(
        "tunnel",
        "access key id",
        "agent",
        "from",
        "ports",
        "streams",
        "total",
        "in",
        "out",
        "rtt",
        "attached",
    ),
)


@click.group()
def command() -> None:
    """Show live tunnels, and cut them."""


@command.command("list", epilog="\b\nExample:\n  aditus tunnels list")
@output_option
@asks_api
def list_(client: "Client", output: Format) -> None:
    """List the live tunnels."""
    tunnels = client.tunnels()
    if output == "json":
        write_json(tunnels)
    else:
        write_table(COLUMNS, map(_row, tunnels))


@command.command(epilog="\b\nExample:\n  aditus tunnels watch --interval 5")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@output_option
@asks_api
def watch(client: "Client", interval: float, output: Format) -> None:
    """Show the live tunnels until Ctrl-C.

    With -o json, each look is one line.
    """
    if output == "json" or not sys.stdout.isatty():
        while True:
            tunnels = client.tunnels()
            if output == "json":
                write_json(tunnels, lines=True)
            else:
                write_table(COLUMNS, map(_row, tunnels))
            time.sleep(interval)
    from rich.live import Live

    with Live(console=terminal(), auto_refresh=False) as live:
        while True:
            live.update(table(COLUMNS, map(_row, client.tunnels())), refresh=True)
            time.sleep(interval)


@command.command(epilog="\b\nExample:\n  aditus tunnels cut 0123456789abcdef")
@click.argument("tunnel")
@asks_api
def cut(client: "Client", tunnel: str) -> None:
    """End one tunnel; its agent comes back.

    Its access key stays as it is: to keep the agent out, suspend or revoke the key.
    """
    client.cut_tunnel(tunnel)
    say(f"The tunnel {tunnel} is cut.")


def _row(tunnel: TunnelView) -> tuple[object, ...]:
    return (
        *(tunnel.tunnel_id, tunnel.access_key_id, tunnel.agent_host, tunnel.peer),
        " ".join(map(_port, tunnel.ports)),
        *(tunnel.streams, tunnel.streams_total, size(tunnel.bytes_in), size(tunnel.bytes_out)),
        "" if tunnel.rtt_ms is None else f"{tunnel.rtt_ms:.1f} ms",
        when(tunnel.attached_at),
    )


def _port(port: PortStatus) -> str:
    return str(port.port) if port.accepted else f"{port.port}({port.verdict})"
