"""`aditus keys revoke`: what it will cut, whether that is meant, and the receipt of what it cut."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import click

from aditus.cli import asking, exits
from aditus.cli.api import asks_api, region_option
from aditus.cli.output import Format, output_option, plain, say, write_json, write_table
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
    Ends with 4 if a key does not exist, and with 1 if the answer is no.
    """
    if dry_run or not yes:
        preview = client.revoke_keys(access_key_ids, region=region, dry_run=True)
        agents = _agents(client, preview)
        if dry_run:
            return _preview(preview, agents, output)
        _show(preview, agents)
        if not asking.confirm("Revoke for good?", "Say --yes, or --dry-run to see what it would cut."):
            return exits.FAILURE
    return _receipts(client.revoke_keys(access_key_ids, region=region), output)


def _agents(client: "Client", preview: tuple[RevokeResult, ...]) -> dict[str, int]:
    """How many agents are attached by each key, by key_id. One with several links has several tunnels."""
    if not any(result.cut is not None and result.cut.tunnels for result in preview):
        return {}
    attached = {(tunnel.key_id, tunnel.instance) for tunnel in client.tunnels()}
    return Counter(key_id for key_id, _ in attached)


def _preview(results: tuple[RevokeResult, ...], agents: Mapping[str, int], output: Format) -> int:
    if output == "json":
        told = [{**plain(result), "agents": agents.get(result.key_id, 0)} for result in results]
        write_json({"dry_run": True, "results": told})
    else:
        _table(results, "would be", "agents", lambda result: agents.get(result.key_id, 0))
    return _code(results)


def _receipts(results: tuple[RevokeResult, ...], output: Format) -> int:
    if output == "json":
        write_json({"dry_run": False, "results": results})
    else:
        _table(results, "result", "ms", lambda result: f"{result.cut.milliseconds:.1f}" if result.cut else "")
    return _code(results)


def _table(
    results: tuple[RevokeResult, ...], result_name: str, name: str, value: Callable[[RevokeResult], object]
) -> None:
    write_table(
        (
            *("access key id", "key id", result_name),
            *("tunnels", "streams", name, "pending relays", "apps to dissociate"),
        ),
        (
            (
                *(result.access_key_id, result.key_id, result.result),
                *(result.cut.tunnels if result.cut else 0, result.cut.streams if result.cut else 0),
                *(value(result), result.pending_relays, result.apps),
            )
            for result in results
        ),
    )


def _code(results: tuple[RevokeResult, ...]) -> int:
    return exits.NOT_FOUND if any(result.result == "not-found" for result in results) else exits.OK


def _show(preview: tuple[RevokeResult, ...], agents: Mapping[str, int]) -> None:
    """What a revoke would cut; of more than `SHOWN` keys, the sum."""
    if len(preview) <= SHOWN:
        for result in preview:
            say(_sentence(result, agents.get(result.key_id, 0)))
        return
    dying = [result for result in preview if result.cut is not None]
    cuts = [result.cut for result in dying if result.cut is not None]
    apps = {app for result in preview for app in result.apps}
    others = len(preview) - len(dying)
    say(
        f"{len(dying)} keys: cuts {sum(cut.tunnels for cut in cuts)} tunnels of"
        f" {sum(agents.get(result.key_id, 0) for result in dying)} agents and"
        f" {sum(cut.streams for cut in cuts)} live streams; used by {len(apps)} apps."
        + (f" {others} others are revoked already, or do not exist." if others else "")
    )


def _sentence(result: RevokeResult, agents: int) -> str:
    if result.cut is None:
        return f"{result.access_key_id}: {result.result}, nothing to cut."
    apps = f"; used by {', '.join(result.apps)}" if result.apps else ""
    return (
        f"{result.access_key_id} ({result.key_id}): cuts {result.cut.tunnels} tunnels of {agents} agents and"
        f" {result.cut.streams} live streams{apps}."
    )
