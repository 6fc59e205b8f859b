"""The options that all who dial relays have in common: agents and sidecars."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from aditus.cli.tibtunnel import Flag
from aditus.config.connect import MAX_LINKS

F = TypeVar("F", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--links", type=click.IntRange(1, MAX_LINKS),
        help=f"WebSockets to each relay, 1 to {MAX_LINKS}; streams take the emptiest.  [default: 1]",
    ),
    click.option(
        "--infinite-retries/--no-infinite-retries", cls=Flag, help="Never give up, whatever fails."
    ),
    click.option(
        "--log-format", type=click.Choice(["text", "json"]), help="Also of --log-file.  [default: text]"
    ),
    click.option(
        "--log-file", type=click.Path(path_type=Path, dir_okay=False), help="Log there, too (rotated)."
    ),
    click.option("-d", "--debug/--no-debug", cls=Flag, help="Log what happens inside."),
    click.option(
        "--ca-file", type=click.Path(path_type=Path), envvar="ADITUS_CA_FILE",
        help="Trust these CAs besides the system's.",
    ),
    click.option(
        "--client-cert", type=click.Path(path_type=Path), metavar="FILE",
        help="Show this certificate (PEM) to a balancer that wants one.",
    ),
    click.option(
        "--client-key", type=click.Path(path_type=Path), metavar="FILE",
        help="Its private key (PEM, not encrypted).  [default: in the file of --client-cert]",
    ),
    click.option("--proxy", metavar="URL", help="Dial through this proxy: http://… or socks5://…."),
)  # fmt: skip


def dialing_options(command: F) -> F:
    """Give a command these options, in this order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def health_option(default: str) -> Callable[[F], F]:
    """`--health-listen`, whose default differs."""
    return click.option(
        "--health-listen",
        metavar="ADDRESS",
        envvar="ADITUS_HEALTH_LISTEN",
        help=f"/healthz, /readyz, /metrics; or off.  [default: {default}]",
    )
