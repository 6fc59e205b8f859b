"""`aditus login`: remember an API and a token for it."""

from pathlib import Path

import click

from aditus.cli import asking
from aditus.cli.output import say, warn
from aditus.config.admin import TOKEN_VARIABLE, api_url, check_token, find_token, store_admin
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText


@click.command(
    epilog="""\b
Example, with the token that `aditus serve` made:
  aditus login http://127.0.0.1:8080 --token-file DIR/owner.token"""
)
@click.argument("url")
@click.option("--token-file", metavar="FILE", help="Read the API token from a file; - is stdin.")
@click.option(
    "--ca-file", type=click.Path(path_type=Path), envvar="ADITUS_CA_FILE",
    help="Trust these CAs besides the system's, now and later.",
)  # fmt: skip
def command(url: str, token_file: str | None, ca_file: Path | None) -> None:
    """Remember an API and a token for it.

    They are tried first, and then stored in ~/.aditus/admin.ini. Without --token-file, the token is taken
    from ADITUS_TOKEN, or asked for on a terminal.
    """
    from aditus.client.rest import Client

    surroundings = Surroundings.of_process()
    api = api_url(url)
    found = find_token(token_file, surroundings)
    token, notices = found or (_ask(), ())
    warn(notices)
    with Client(api, token.reveal(), ca_file) as client:
        user = client.userinfo()
    path = store_admin(api, token, ca_file, surroundings)
    say(f"You are {user.name}, {user.role} of {user.organization}. {api} is remembered in {path}.")


def _ask() -> SecretText:
    if not asking.has_person():
        raise invalid(
            "no-token",
            "There is no API token to log in with.",
            remedy=f"Say --token-file FILE (- is stdin), or set {TOKEN_VARIABLE}.",
            field="token",
        )
    return check_token(asking.secret("API token"), "the terminal")
