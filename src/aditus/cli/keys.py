"""`aditus keys`: generate access keys, look at them, and take them back."""

from typing import TYPE_CHECKING

import click

from aditus.cli import asking, exits
from aditus.cli.api import asks_api, expires_option, region_option
from aditus.cli.output import (
    Format,
    output_option,
    plain,
    say,
    warn,
    when,
    write,
    write_json,
    write_record,
    write_table,
)
from aditus.config.files import STDIN, read_secret
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import parse_access_key
from aditus.domain.model import AccessKey, KeyState, NewAccessKey, RevokeResult

if TYPE_CHECKING:
    from aditus.client.rest import Client

_ID = click.argument("access_key_id")
_STATES = click.Choice([state.value for state in KeyState if state is not KeyState.REPLACED])


@click.group()
def command() -> None:
    """Generate access keys, look at them, suspend and revoke them."""


@command.command(
    epilog="""\b
Example, which keeps the secret out of sight:
  aditus keys generate orders --capability integration --expires 90d > orders.key"""
)
@_ID
@click.option("--capability", required=True, help="What the key is for; its apps must have the same.")
@expires_option
@click.option("--description", default="", help="What people should know of it.")
@region_option
@output_option
@asks_api
def generate(
    client: "Client",
    access_key_id: str,
    capability: str,
    expires_at: float | None,
    description: str,
    region: str,
    output: Format,
) -> None:
    """Generate an access key and print its secret.

    The secret is alone on stdout, and is shown this once; all else is on stderr.
    """
    new = client.generate_key(
        access_key_id, capability, region=region, description=description, expires_at=expires_at
    )
    if new.secret is None:
        raise AditusError(
            Code.INTERNAL,
            "no-secret",
            "The server made the key and sent no secret with it.",
            remedy="Revoke the key and generate another one.",
        )
    try:
        if output == "json":
            write_json({**plain(new.key), "secret_access_key": new.secret.reveal()})
        else:
            write(new.secret.reveal())
    except click.ClickException as error:
        raise click.ClickException(
            f"{error.message} The key was generated, but its secret is lost: revoke it, generate another."
        ) from error
    if output == "text":
        _explain(new)


@command.command("list")
@click.option("--state", type=_STATES, help="Only keys in this state.")
@region_option
@output_option
@asks_api
def list_(client: "Client", state: str | None, region: str, output: Format) -> None:
    """List the access keys."""
    keys = list(client.list_keys(region=region, state=KeyState(state) if state else None))
    if output == "json":
        write_json(keys)
        return
    write_table(
        (
            "access key id",
            "key id",
            "region",
            "capability",
            "state",
            "created",
            "expires",
            "apps",
        ),
        (
            (
                *(key.access_key_id, key.key_id, key.region, key.capability, key.state),
                *(when(key.created_at), when(key.expires_at), key.apps),
            )
            for key in keys
        ),
    )


@command.command()
@_ID
@region_option
@output_option
@asks_api
def show(client: "Client", access_key_id: str, region: str, output: Format) -> None:
    """Show one access key.

    Of several with this ID, it is the one that is not revoked, else the one revoked last.
    """
    _print(client.show_key(access_key_id, region=region), output)


@command.command()
@click.argument("file", default=STDIN)
@output_option
def verify(file: str, output: Format) -> None:
    """Check a secret access key for typos, offline.

    It is read from FILE, - or nothing being stdin; its form and its checksum are checked.
    """
    surroundings = Surroundings.of_process()
    if file == STDIN and asking.has_person():
        secret = asking.secret("Secret access key")
    else:
        secret, notices = read_secret(file, "FILE", surroundings)
        warn(notices)
    key = parse_access_key(secret.reveal())
    found = {"valid": True, "key_id": key.key_id, "region": key.region}
    if output == "json":
        write_json(found)
    else:
        write(f"The form is right: key {key.key_id} of the region {key.region}.")
        say("Whether it is active, only its region knows: aditus keys list")


@command.command()
@click.argument("access_key_ids", metavar="ACCESS_KEY_ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Say what would be cut, and change nothing.")
@region_option
@output_option
@asks_api
def revoke(
    client: "Client", access_key_ids: tuple[str, ...], yes: bool, dry_run: bool, region: str, output: Format
) -> int:
    """Revoke access keys, and cut all that uses them.

    This is for ever and takes effect at once. Without --yes, it shows first what it will cut, and asks.
    Ends with 4 if a key does not exist.
    """
    if dry_run or not yes:
        preview = client.revoke_keys(access_key_ids, region=region, dry_run=True)
        if dry_run:
            return _receipts(preview, output, done=False)
        for result in preview:
            say(_sentence(result))
        if not asking.confirm("Revoke for good?", "Say --yes, or --dry-run to see what it would cut."):
            return exits.FAILURE
    return _receipts(client.revoke_keys(access_key_ids, region=region), output, done=True)


@command.command()
@_ID
@region_option
@output_option
@asks_api
def suspend(client: "Client", access_key_id: str, region: str, output: Format) -> None:
    """Suspend an access key until it is resumed.

    Its tunnels are cut; their agents stay, and wait.
    """
    result = client.suspend_key(access_key_id, region=region)
    if output == "json":
        write_json(result)
    elif result.cut is None:
        write(f"{result.key.access_key_id} was suspended already.")
    else:
        cut = result.cut
        write(
            f"{result.key.access_key_id} is suspended; {cut.tunnels} tunnels and {cut.streams} streams"
            f" were cut within {cut.milliseconds:.1f} ms."
        )


@command.command()
@_ID
@region_option
@output_option
@asks_api
def resume(client: "Client", access_key_id: str, region: str, output: Format) -> None:
    """Let a suspended access key work again."""
    key = client.resume_key(access_key_id, region=region)
    if output == "json":
        write_json(key)
    else:
        write(f"{key.access_key_id} is {key.state}; its agents come back within half a minute.")


def _print(key: AccessKey, output: Format) -> None:
    if output == "json":
        write_json(key)
        return
    write_record(
        {
            "access key id": key.access_key_id,
            "key id": key.key_id,
            "state": key.state,
            "capability": key.capability,
            "region": key.region,
            "description": key.description,
            "connect url": key.connect_url,
            "relay url": key.relay_url,
            "created": f"{when(key.created_at)} by {key.created_by}",
            "expires": when(key.expires_at),
            "revoked": f"{when(key.revoked_at)} by {key.revoked_by}" if key.revoked_at else "",
            "apps": key.apps,
        }
    )


def _explain(new: NewAccessKey) -> None:
    key = new.key
    loopback = ConnectUrl.parse(key.connect_url).host in ("localhost", "127.0.0.1", "::1")
    ca_file = "--ca-file DIR/ca.pem " if loopback else ""
    say(
        f"""\
Access key {key.access_key_id} ({key.key_id}) for {key.capability} in {key.region}.
Its secret is on stdout, this once: the server has not kept it.

In the private network, store it and offer a service (here port 5432 of this machine):
  aditus configure --access-key-file -
  aditus connect {ca_file}-s 5432:127.0.0.1:5432 {key.connect_url}"""
    )


def _receipts(results: tuple[RevokeResult, ...], output: Format, *, done: bool) -> int:
    if output == "json":
        write_json({"dry_run": not done, "results": results})
    else:
        write_table(
            (
                *("access key id", "key id", "result" if done else "would be"),
                *("tunnels", "streams", "ms", "pending relays", "apps to dissociate"),
            ),
            (
                (
                    *(result.access_key_id, result.key_id, result.result),
                    *(result.cut.tunnels if result.cut else 0, result.cut.streams if result.cut else 0),
                    f"{result.cut.milliseconds:.1f}" if result.cut and done else "",
                    *(result.pending_relays, result.apps),
                )
                for result in results
            ),
        )
    return exits.NOT_FOUND if any(result.result == "not-found" for result in results) else exits.OK


def _sentence(result: RevokeResult) -> str:
    if result.cut is None:
        return f"{result.access_key_id}: {result.result}, nothing to cut."
    apps = f"; used by {', '.join(result.apps)}" if result.apps else ""
    return (
        f"{result.access_key_id} ({result.key_id}): cuts {result.cut.tunnels} tunnels and"
        f" {result.cut.streams} live streams{apps}."
    )
