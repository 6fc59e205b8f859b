"""`aditus keys revoke`: what it will cut, whether that is meant, and the receipt of what it cut."""

from typing import TYPE_CHECKING

import click

from aditus.cli import asking, exits
from aditus.cli.api import asks_api, region_option
from aditus.cli.output import Format, output_option, say, write_json, write_table
from aditus.domain.model import RevokeResult

if TYPE_CHECKING:
    from aditus.client.rest import Client

SHOWN = 10
"""Keys that are named one by one before somebody confirms; more are summed up."""


@click.command(
    epilog="""\b
Examples:
  aditus keys revoke orders --dry-run
  aditus keys revoke orders billing --yes"""
)
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
        _show(preview)
        if not asking.confirm("Revoke for good?", "Say --yes, or --dry-run to see what it would cut."):
            return exits.FAILURE
    return _receipts(client.revoke_keys(access_key_ids, region=region), output, done=True)


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


def _show(preview: tuple[RevokeResult, ...]) -> None:
    """What a revoke would cut; of more than `SHOWN` keys, the sum."""
    if len(preview) <= SHOWN:
        for result in preview:
            say(_sentence(result))
        return
    cuts = [result.cut for result in preview if result.cut is not None]
    apps = {app for result in preview for app in result.apps}
    others = len(preview) - len(cuts)
    say(
        f"{len(cuts)} keys: cuts {sum(cut.tunnels for cut in cuts)} tunnels and"
        f" {sum(cut.streams for cut in cuts)} live streams; used by {len(apps)} apps."
        + (f" {others} others are revoked already, or do not exist." if others else "")
    )
