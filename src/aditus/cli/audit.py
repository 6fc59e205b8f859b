"""`aditus audit`: who did what, and when."""

from itertools import islice
from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api
from aditus.cli.output import Format, output_option, when, write_json, write_table

if TYPE_CHECKING:
    from aditus.client.rest import Client


@click.group()
def command() -> None:
    """Read the audit log."""


@command.command("list")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many entries."
)
@output_option
@asks_api
def list_(client: "Client", limit: int, output: Format) -> None:
    """List what was done."""
    events = list(islice(client.audit_events(), limit))
    if output == "json":
        write_json(events)
        return
    write_table(
        ("no", "at", "who", "did", "to", "id", "region", "details"),
        (
            (
                *(event.event_id, when(event.at), event.actor, event.action),
                *(event.object_name, event.object_id, event.region),
                " ".join(f"{name}={value}" for name, value in event.details.items()),
            )
            for event in events
        ),
    )
