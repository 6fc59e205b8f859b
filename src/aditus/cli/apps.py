"""`aditus apps`: cloud programs, and which access key's tunnels they use; more is in `cli/credentials.py`."""

from typing import TYPE_CHECKING

import click

from aditus.cli import asking, exits
from aditus.cli.api import asks_api, region_option
from aditus.cli.credentials import credential, credentials, revoke_credential, sidecars
from aditus.cli.output import (
    Format,
    output_option,
    plain,
    say,
    when,
    write_json,
    write_record,
    write_table,
)
from aditus.domain.model import App, AssociateResult

if TYPE_CHECKING:
    from aditus.client.rest import Client

_APP = click.argument("app")


@click.group()
def command() -> None:
    """Create apps, and associate them with access keys.

    Their sidecars get credentials here. APP is a name or an app_id.
    """


for one in (credential, credentials, revoke_credential, sidecars):
    command.add_command(one)


@command.command(epilog="\b\nExample:\n  aditus apps create shop --capability integration")
@click.argument("name")
@click.option("--capability", required=True, help="What it runs on; its access key must have the same.")
@output_option
@asks_api
def create(client: "Client", name: str, capability: str, output: Format) -> None:
    """Create an app."""
    _print(client.create_app(name, capability), output)


@command.command("list", epilog="\b\nExample:\n  aditus apps list")
@output_option
@asks_api
def list_(client: "Client", output: Format) -> None:
    """List the apps."""
    apps = list(client.list_apps())
    if output == "json":
        write_json(apps)
        return
    write_table(
        ("app", "app id", "capability", "access key id", "key state", "region", "created"),
        (
            (
                app.name,
                app.app_id,
                app.capability,
                app.access_key_id,
                app.key_state,
                app.region,
                when(app.created_at),
            )
            for app in apps
        ),
    )


@command.command(epilog="\b\nExample:\n  aditus apps show shop")
@_APP
@output_option
@asks_api
def show(client: "Client", app: str, output: Format) -> None:
    """Show an app, and what its sidecars can reach.

    The app ports are those that can be reached now; of sidecars it says how many are attached.
    """
    status = client.app_status(app)
    if output == "json":
        write_json(status)
        return
    now = {"tunnels": status.tunnels, "ports": status.ports, "sidecars": status.sidecars}
    write_record({**_record(status.app), **now})


@command.command(epilog="\b\nExample:\n  aditus apps rename shop store")
@_APP
@click.argument("name")
@output_option
@asks_api
def rename(client: "Client", app: str, name: str, output: Format) -> None:
    """Give an app another name. Its app_id and its association stay."""
    _print(client.rename_app(app, name), output)


@command.command(epilog="\b\nExample:\n  aditus apps delete shop --yes")
@_APP
@click.option("--yes", is_flag=True, help="Do not ask.")
@asks_api
def delete(client: "Client", app: str, yes: bool) -> int:
    """Delete an app, and revoke its credentials.

    Its association goes with it; its access key stays.
    """
    found = client.show_app(app)
    if not yes and not asking.confirm(f"Delete the app {found.name} ({found.app_id})?", "Say --yes."):
        return exits.FAILURE
    client.delete_app(found.app_id)
    say(f"The app {found.name} is deleted.")
    return exits.OK


@command.command(epilog="\b\nExample:\n  aditus apps associate shop orders")
@_APP
@click.argument("access_key_id")
@region_option
@output_option
@asks_api
def associate(client: "Client", app: str, access_key_id: str, region: str, output: Format) -> None:
    """Let an app use the tunnels of an access key.

    An app has one key at most; it takes the place of the one before.
    """
    _changed(client.associate(app, access_key_id, region=region), output)


@command.command(epilog="\b\nExample:\n  aditus apps dissociate shop")
@_APP
@output_option
@asks_api
def dissociate(client: "Client", app: str, output: Format) -> None:
    """Take an app's access key away, and cut its streams."""
    _changed(client.dissociate(app), output)


def _print(app: App, output: Format) -> None:
    if output == "json":
        write_json(app)
    else:
        write_record(_record(app))


def _changed(result: AssociateResult, output: Format) -> None:
    """The app as it is now, as before there were others to wait for; and who may not know of it yet."""
    if output == "json":
        write_json({**plain(result.app), "pending_relays": result.pending_relays})
    else:
        write_record({**_record(result.app), "pending relays": result.pending_relays})


def _record(app: App) -> dict[str, object]:
    return {
        "app": app.name,
        "app id": app.app_id,
        "capability": app.capability,
        "created": when(app.created_at),
        "access key id": app.access_key_id,
        "key id": app.key_id,
        "key state": app.key_state,
        "region": app.region,
    }
