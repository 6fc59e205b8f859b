"""`aditus audit`: who did what, and when."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from aditus.cli import exits
from aditus.cli.api import api_options, asks_api, client_of, since_option
from aditus.cli.output import Format, output_option, say, when, write, write_json, write_table
from aditus.domain.audit_chain import Break, Fault, parse_head, verify_lines
from aditus.domain.errors import invalid

if TYPE_CHECKING:
    from aditus.client.rest import Client

T = TypeVar("T")

MAX_HEAD = 200  # characters; a head is shorter
_FAULTS = {
    Fault.CHANGED: "it, or its hash, is not what was written",
    Fault.MISSING: "it is missing",
    Fault.REORDERED: "it was moved from its place, and another stands there",
    Fault.INSERTED: "something stands there that was not written then",
    Fault.CUT_OFF: "from there on, entries were cut off",
}


@click.group()
def command() -> None:
    """Read the audit log, and prove that nobody has changed it."""


@command.command("list", epilog="\b\nExample:\n  aditus audit list --limit 20")
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


@command.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--head", default="", metavar="SEQ:HASH", help="A head that was kept: it must still be there.")
@click.option("--head-file", type=click.Path(path_type=Path), help="Read the kept head from a file.")
@output_option
@api_options
def verify(file: Path | None, head: str, head_file: Path | None, output: Format, **api: Any) -> int:
    """Look at every entry, and print the head to keep.

    The server does so; with FILE, an export, no server is asked at all. Exit code 1: the chain is broken,
    and it is said where. 2: FILE is no export.

    \b
    Examples:
      aditus audit verify > head
      aditus audit verify --head-file head
      aditus audit verify audit.jsonl
    """
    if head and head_file:
        raise click.UsageError("Give --head or --head-file, not both.")
    kept = _read(head_file, lambda lines: lines.read(MAX_HEAD)) if head_file else head
    known = parse_head(kept) if kept else None
    if file:
        found = _read(file, lambda lines: verify_lines(lines, known))
    else:
        with client_of(**api) as client:
            found = client.verify_audit(str(known) if known else "")
    if output == "json":
        write_json(found)
    elif found.fault is None:
        write(str(found.head))
    if found.fault is not None:
        say(f"aditus: {_told(found.fault)}")
        return exits.FAILURE
    if found.first > 1:
        say(f"The file begins with entry {found.first}: what was before it was not looked at.")
    if output == "text":
        say(f"{found.entries} entries hold. Keep this head where nobody who runs the server can write.")
    return exits.OK


@command.command()
@since_option
@asks_api
def export(client: "Client", since: float | None) -> None:
    """Print every entry as a line of JSON.

    With its hash, oldest first, so that `aditus audit verify FILE` needs no server.

    \b
    Example:
      aditus audit export > audit.jsonl && aditus audit verify audit.jsonl
    """
    for line in client.export_audit(since):
        write(line)


@command.command(epilog="\b\nExample:\n  aditus audit strangers")
@output_option
@asks_api
def strangers(client: "Client", output: Format) -> None:
    """List refusals of unknown callers by minute.

    By source and reason, at the relays of your regions: of whoever proved nothing.
    """
    found = client.stranger_refusals()
    if output == "json":
        write_json(found)
        return
    rows = ((when(one.minute * 60.0), one.source or "(others)", one.reason, one.refusals) for one in found)
    write_table(("minute", "source", "reason", "refusals"), rows)


def _read(file: Path, read: Callable[[TextIO], T]) -> T:
    try:
        with file.open(encoding="utf-8") as lines:
            return read(lines)
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or "it failed") if isinstance(error, OSError) else "it is not text"
        raise invalid(
            "unreadable-file",
            f"The file {file} cannot be read: {why}.",
            remedy="Name a file that this user can read.",
        ) from error


def _told(fault: Break) -> str:
    where = f"entry {fault.sequence}" + (
        "" if fault.event_id is None else f" (no {fault.event_id} of the list)"
    )
    return f"The audit chain is broken at {where}: {_FAULTS[fault.fault]}."
