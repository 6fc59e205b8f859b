"""Commands of `aditus apps` for the app's side: credentials of its sidecars, and those that are attached."""

import shlex
from typing import TYPE_CHECKING

import click

from aditus.cli import asking, exits
from aditus.cli.api import asks_api
from aditus.cli.output import (
    Format,
    output_option,
    plain,
    say,
    size,
    when,
    write,
    write_json,
    write_record,
    write_table,
)
from aditus.config.surroundings import Surroundings
from aditus.domain.model import AppCredential, NewAppCredential

if TYPE_CHECKING:
    from aditus.client.rest import Client

_APP = click.argument("app")


@click.command(
    epilog="\b\nExample, which keeps the secret out of sight:\n  aditus apps credential shop > shop.secret"
)
@_APP
@click.option(
    "--public-key", "public_file", metavar="FILE",
    help="Make no secret: take this public key, of `aditus keypair` or openssl; - is stdin.",
)  # fmt: skip
@output_option
@asks_api
def credential(client: "Client", app: str, public_file: str | None, output: Format) -> None:
    """Create a credential for an app and print its secret.

    Its sidecars prove by it whose they are. The secret is alone on stdout, and is shown this once; all else
    is on stderr. An app has two credentials at most: one in use, and one to take its place.
    """
    if public_file is not None:
        _of_own_pair(client.register_credential(app, _public_key(public_file)), output)
        return
    found = client.show_app(app)
    relay_url = "RELAY_URL"
    if found.access_key_id:
        relay_url = client.show_key(found.access_key_id, region=found.region).relay_url
    new = client.create_credential(found.app_id)
    _hand_over(new, output)
    if output == "text":
        say(
            f"""\
Credential {new.credential.credential_id} of the app {found.name}.
Its secret is on stdout, this once: the server has not kept it.

Beside the app, store it in a file that only its user can read, and start the sidecar:
  aditus sidecar --app {shlex.quote(found.name)} --relay {relay_url} --secret-file FILE"""
        )


@click.command(epilog="\b\nExample:\n  aditus apps credentials shop")
@_APP
@output_option
@asks_api
def credentials(client: "Client", app: str, output: Format) -> None:
    """List the credentials of an app, with their last use."""
    found = client.list_credentials(app)
    if output == "json":
        write_json(found)
        return
    write_table(
        ("credential id", "state", "created", "by", "last used", "from", "version", "revoked"),
        (
            (
                *(one.credential_id, "active" if one.revoked_at is None else "revoked"),
                *(when(one.created_at), one.created_by),
                *(when(one.last_used_at), one.last_used_from, one.last_used_version),
                _revoked(one),
            )
            for one in found
        ),
    )


@click.command(
    "revoke-credential", epilog="\b\nExample:\n  aditus apps revoke-credential shop 4gTkAbCdEf01 --yes"
)
@_APP
@click.argument("credential_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@output_option
@asks_api
def revoke_credential(client: "Client", app: str, credential_id: str, yes: bool, output: Format) -> int:
    """Revoke a credential, and cut the sidecars that use it.

    This is for ever and takes effect at once. Ends with 1 if the answer is no.
    """
    if not yes:
        using = [one for one in client.list_sidecars(app) if one.credential_id == credential_id]
        streams = sum(one.streams for one in using)
        say(f"{credential_id}: cuts {len(using)} sidecars and {streams} live streams.")
        if not asking.confirm("Revoke for good?", "Say --yes."):
            return exits.FAILURE
    result = client.revoke_credential(app, credential_id)
    if output == "json":
        write_json(result)
        return exits.OK
    write_record(
        {
            "credential id": result.credential.credential_id,
            "created": f"{when(result.credential.created_at)} by {result.credential.created_by}",
            "revoked": _revoked(result.credential),
            "pending relays": result.pending_relays,
        }
    )
    return exits.OK


@click.command(epilog="\b\nExample:\n  aditus apps sidecars shop")
@_APP
@output_option
@asks_api
def sidecars(client: "Client", app: str, output: Format) -> None:
    """List the sidecars of an app that are attached now."""
    found = client.list_sidecars(app)
    if output == "json":
        write_json(found)
        return
    write_table(
        (
            "sidecar",
            "from",
            "credential id",
            "version",
            "ports",
            "streams",
            "total",
            "in",
            "out",
            "rtt",
            "attached",
        ),
        (
            (
                *(one.host, one.peer, one.credential_id, one.version, one.ports),
                *(one.streams, one.streams_total, size(one.bytes_in), size(one.bytes_out)),
                "" if one.rtt_ms is None else f"{one.rtt_ms:.1f} ms",
                when(one.attached_at),
            )
            for one in found
        ),
    )


def _revoked(one: AppCredential) -> str:
    return "" if one.revoked_at is None else f"{when(one.revoked_at)} by {one.revoked_by}"


def _public_key(file: str) -> bytes:
    from aditus.config.keypair import read_public_key

    return read_public_key(file, Surroundings.of_process())


def _of_own_pair(made: AppCredential, output: Format) -> None:
    """The server has no secret to show: it stays with whoever made the pair."""
    if output == "json":
        write_json(made)
        return
    created = f"{when(made.created_at)} by {made.created_by}"
    write_record({"credential id": made.credential_id, "app id": made.app_id, "created": created})
    say(
        "The server has the public key alone. Where the private one is, make the secret of it:\n"
        f"  aditus keypair PRIVATE_FILE --credential-id {made.credential_id} --out SECRET_FILE"
    )


def _hand_over(new: NewAppCredential, output: Format) -> None:
    try:
        if output == "json":
            write_json({**plain(new.credential), "app_secret": new.secret.reveal()})
        else:
            write(new.secret.reveal())
    except click.ClickException as error:
        raise click.ClickException(
            f"{error.message} The credential was made, but its secret is lost:"
            f" revoke {new.credential.credential_id}."
        ) from error
