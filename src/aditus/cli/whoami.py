"""`aditus whoami`: who the API takes the caller for."""

from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api
from aditus.cli.output import Format, output_option, write_json, write_record

if TYPE_CHECKING:
    from aditus.client.rest import Client


@click.command(epilog="\b\nExample:\n  aditus whoami")
@output_option
@asks_api
def command(client: "Client", output: Format) -> None:
    """Show who you are to the API, and what you may see."""
    user = client.userinfo()
    if output == "json":
        organization = {"organization_id": user.organization_id, "name": user.organization, "role": user.role}
        subscriptions = [
            {"locator": one.locator, "name": one.name, "roles": [one.role]} for one in user.subscriptions
        ]
        write_json(
            {
                "caller_id": user.caller_id,
                "name": user.name,
                "organizations": [organization],
                "subscriptions": subscriptions,
            }
        )
        return
    write_record(
        {
            "name": user.name,
            "id": user.caller_id,
            "organization": f"{user.organization} ({user.organization_id})",
            "role": user.role,
            "subscriptions": tuple(f"{one.locator} {one.name} ({one.role})" for one in user.subscriptions),
        }
    )
