"""`aditus streams`: which conversations there are, and which there were."""

from itertools import islice
from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api, since_option
from aditus.cli.output import Format, output_option, size, when, write_json, write_table

if TYPE_CHECKING:
    from aditus.client.rest import Client


@click.group()
def command() -> None:
    """Show live and finished streams."""


@command.command(
    "list",
    epilog="""\b
Example:
  aditus streams list""",
)
@output_option
@asks_api
def list_(client: "Client", output: Format) -> None:
    """List the streams that are open now."""
    streams = client.streams()
    if output == "json":
        write_json(streams)
        return
    write_table(
        ("tunnel", "stream", "port", "from", "in", "out", "opened"),
        (
            (
                *(stream.tunnel_id, stream.stream, stream.port, stream.source),
                *(size(stream.bytes_in), size(stream.bytes_out), when(stream.opened_at)),
            )
            for stream in streams
        ),
    )


@command.command(
    epilog="""\b
Examples:
  aditus streams history --key orders --since 1h
  aditus streams history --port 5432 --reason target-refused -o json"""
)
@click.option("--key", "access_key_id", default="", metavar="ID", help="Only of this access key ID.")
@click.option("--port", type=click.IntRange(1, 65535), help="Only of this app port.")
@click.option("--reason", default="", help="Only what ended so: closed, or the reason of a reset.")
@since_option
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many streams."
)
@output_option
@asks_api
def history(
    client: "Client",
    access_key_id: str,
    port: int | None,
    reason: str,
    since: float | None,
    limit: int,
    output: Format,
) -> None:
    """List finished streams, newest first.

    They are kept for 7 days.
    """
    found = client.stream_records(access_key_id=access_key_id, port=port, reason=reason, since=since)
    records = list(islice(found, limit))
    if output == "json":
        write_json(records)
        return
    write_table(
        ("finished", "access key id", "port", "from", "in", "out", "lasted", "set up", "ended"),
        (
            (
                *(when(record.finished_at), record.access_key_id, record.port, record.source),
                *(size(record.bytes_in), size(record.bytes_out)),
                f"{record.finished_at - record.opened_at:.1f} s",
                "" if record.setup_ms is None else f"{record.setup_ms:.1f} ms",
                record.reason,
            )
            for record in records
        ),
    )
