"""What the commands of administrators have in common: which API, as whom, and how to ask it."""

import functools
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aditus.cli.output import warn
from aditus.config.admin import API_VARIABLE, TOKEN_VARIABLE, admin_config
from aditus.config.surroundings import Surroundings

if TYPE_CHECKING:
    from aditus.client.rest import Client

MAX_SPAN = 100 * 365 * 86400  # seconds; a longer one is a typo
_SPAN = re.compile(r"([0-9]{1,9})([smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def asks_api(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Give a command the options that lead to an API, and call it with a `Client` of that API first."""

    @api_options
    @functools.wraps(function)
    def call(api: str | None, token_file: str | None, ca_file: Path | None, **options: Any) -> int | None:
        with client_of(api, token_file, ca_file) as client:
            return function(client, **options)

    return call


def api_options(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Adds the options that lead to an API, as the parameters `api`, `token_file` and `ca_file`."""
    for option in (
        click.option(
            "--ca-file", type=click.Path(path_type=Path), envvar="ADITUS_CA_FILE",
            help="Trust these CAs besides the system's.",
        ),
        click.option(
            "--token-file", metavar="FILE",
            help=f"Read the API token from a file; - is stdin.  [env: {TOKEN_VARIABLE}; default: of `login`]",
        ),
        click.option(
            "--api", metavar="URL", help=f"The API to ask.  [env: {API_VARIABLE}; default: of `login`]"
        ),
    ):  # fmt: skip
        function = option(function)
    return function


def client_of(api: str | None, token_file: str | None, ca_file: Path | None) -> "Client":
    """The client that these options lead to. Raises `AditusError` when they lead to none."""
    from aditus.client.rest import Client

    config = admin_config(api, token_file, ca_file, Surroundings.of_process())
    warn(config.notices)
    return Client(config.api, config.token.reveal(), config.ca_file)


def region_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--region`, as the parameter `region`."""
    return click.option("--region", default="", help="The key's region, when there are several.")(function)


def expires_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--expires`, as the parameter `expires_at` in Unix seconds."""
    return click.option(
        "--expires",
        "expires_at",
        metavar="SPAN",
        callback=_from_now,
        help="When it ends, such as 90d or 12h.",
    )(function)


def since_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds `--since`, as the parameter `since` in Unix seconds."""
    return click.option(
        "--since", metavar="SPAN", callback=_ago, help="Only of the last so long, such as 30m or 7d."
    )(function)


def _from_now(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    return None if value is None else time.time() + seconds(ctx, param, value)


def _ago(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    return None if value is None else time.time() - seconds(ctx, param, value)


def seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """The seconds of a time span such as 90d. Raises `BadParameter`."""
    found = _SPAN.fullmatch(value)
    span = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 0 < span <= MAX_SPAN:
        raise click.BadParameter("a time span is a number and a unit: 30m, 12h, 90d or 52w.", ctx, param)
    return float(span)
