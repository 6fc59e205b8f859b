"""`aditus tokens`: API tokens for scripts."""

from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api, expires_option
from aditus.cli.output import Format, output_option, plain, say, when, write, write_json, write_table
from aditus.domain.model import Role

if TYPE_CHECKING:
    from aditus.client.rest import Client


@click.group()
def command() -> None:
    """Create, list and revoke API tokens."""


@command.command(epilog="\b\nExample:\n  aditus tokens create ci --role team_admin --expires 90d > ci.token")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="What it may do.  [default: what you may do]",
)
@expires_option
@click.option(
    "--subscription", default="", metavar="LOCATOR", help="The one that a team_admin's token is for."
)
@output_option
@asks_api
def create(
    client: "Client", name: str, role: str | None, expires_at: float | None, subscription: str, output: Format
) -> None:
    """Create an API token and print it.

    It is alone on stdout, and is shown this once.
    """
    new = client.create_token(
        name, role=Role(role) if role else None, expires_at=expires_at, locator=subscription
    )
    try:
        if output == "json":
            write_json({**plain(new.token), "token": new.secret.reveal()})
        else:
            write(new.secret.reveal())
    except click.ClickException as error:
        raise click.ClickException(
            f"{error.message} The token was made, but its text is lost: revoke {new.token.token_id}."
        ) from error
    if output == "text":
        say(f"Token {new.token.name} ({new.token.token_id}), role {new.token.role}: it is shown this once.")


@command.command("list", epilog="\b\nExample:\n  aditus tokens list")
@output_option
@asks_api
def list_(client: "Client", output: Format) -> None:
    """List the API tokens."""
    tokens = client.list_tokens()
    if output == "json":
        write_json(tokens)
        return
    write_table(
        ("token id", "name", "role", "subscription", "created", "last used", "expires"),
        (
            (
                *(token.token_id, token.name, token.role, token.locator),
                *(when(token.created_at), when(token.last_used_at), when(token.expires_at)),
            )
            for token in tokens
        ),
    )


@command.command(epilog="\b\nExample:\n  aditus tokens revoke 4gTkAbCdEf01")
@click.argument("token_id")
@asks_api
def revoke(client: "Client", token_id: str) -> None:
    """Revoke an API token."""
    client.revoke_token(token_id)
    say(f"The token {token_id} is revoked.")
