"""`aditus keys`: generate access keys, look at them, and take them back."""

import time
from typing import TYPE_CHECKING

import click

from aditus.cli.api import asks_api, expires_option, region_option, seconds
from aditus.cli.output import (
    Format,
    output_option,
    plain,
    say,
    when,
    write,
    write_json,
    write_record,
    write_table,
)
from aditus.cli.revoke import revoke
from aditus.cli.verify import verify
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import ConnectUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.model import AccessKey, KeyState, NewAccessKey

if TYPE_CHECKING:
    from aditus.client.rest import Client

_ID = click.argument("access_key_id")
_STATES = click.Choice([state.value for state in KeyState if state is not KeyState.REPLACED])

_ports_option = click.option(
    "--allow-port", "ports", multiple=True, type=click.IntRange(1, 65535), metavar="PORT",
    help="An app port that its agents may offer, and no others; repeat it.",
)  # fmt: skip
_sources_option = click.option(
    "--allow-source", "sources", multiple=True, metavar="CIDR",
    help="A network that its agents may dial from, and no others; repeat it.",
)  # fmt: skip

NEVER = -1.0
"""`--expires never`, among Unix seconds."""


def _span(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    return None if value is None else seconds(ctx, param, value)


def _end(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None or value == "never":
        return None if value is None else NEVER
    return time.time() + seconds(ctx, param, value)


@click.group()
def command() -> None:
    """Generate access keys, look at them, change and revoke them."""


command.add_command(revoke)
command.add_command(verify)


@command.command(
    epilog="""\b
Examples, which keep the secret out of sight:
  aditus keys generate orders --capability integration --expires 90d > orders.key
  aditus keys generate orders --capability integration --allow-port 5432 > orders.key"""
)
@_ID
@click.option("--capability", required=True, help="What the key is for; its apps must have the same.")
@expires_option
@click.option("--description", default="", help="What people should know of it.")
@click.option(
    "--public-key", "public_file", metavar="FILE",
    help="Make no secret: take this public key, of `aditus keypair` or openssl; - is stdin.",
)  # fmt: skip
@_ports_option
@_sources_option
@region_option
@output_option
@asks_api
def generate(
    client: "Client",
    access_key_id: str,
    capability: str,
    expires_at: float | None,
    description: str,
    public_file: str | None,
    ports: tuple[int, ...],
    sources: tuple[str, ...],
    region: str,
    output: Format,
) -> None:
    """Generate an access key and print its secret.

    The secret is alone on stdout, and is shown this once; all else is on stderr.
    """
    new = client.generate_key(
        access_key_id,
        capability,
        region=region,
        description=description,
        expires_at=expires_at,
        public_key=_public_key(public_file),
        allowed_ports=ports or None,
        allowed_sources=sources or None,
    )
    if public_file is not None:
        _of_own_pair(new.key, output)
        return
    _hand_over(new, output, "The key was generated, but its secret is lost: revoke it, generate another.")
    if output == "text":
        _explain(new)


@command.command("list", epilog="\b\nExample:\n  aditus keys list --state active")
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
            "last used",
            "apps",
        ),
        (
            (
                *(key.access_key_id, key.key_id, key.region, key.capability, key.state),
                *(when(key.created_at), _expires(key), when(key.last_used_at), key.apps),
            )
            for key in keys
        ),
    )


@command.command(epilog="\b\nExample:\n  aditus keys show orders -o json")
@_ID
@region_option
@output_option
@asks_api
def show(client: "Client", access_key_id: str, region: str, output: Format) -> None:
    """Show one access key.

    Of several with this ID, it is the one that is not revoked, else the one revoked last.
    """
    _print(client.show_key(access_key_id, region=region), output)


@command.command(epilog="\b\nExample:\n  aditus keys suspend orders")
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
    if output != "json" and result.pending_relays:
        say(f"Not yet confirmed by: {', '.join(result.pending_relays)}. Their tunnels may still be up.")


@command.command(epilog="\b\nExample:\n  aditus keys resume orders")
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


@command.command(
    epilog="""\b
Example:
  aditus keys rotate orders --grace 24h > orders.key"""
)
@_ID
@click.option("--grace", metavar="SPAN", callback=_span, help="How long the old one stays.  [default: 24h]")
@click.option("--now", is_flag=True, help="End the old secret at once, and cut what uses it.")
@click.option(
    "--public-key", "public_file", metavar="FILE",
    help="Make no secret: take this public key, of `aditus keypair` or openssl; - is stdin.",
)  # fmt: skip
@region_option
@output_option
@asks_api
def rotate(
    client: "Client",
    access_key_id: str,
    grace: float | None,
    now: bool,
    public_file: str | None,
    region: str,
    output: Format,
) -> None:
    """Give a key a second secret, in place of the first.

    The secret is alone on stdout, and is shown this once. The grace of the old one begins when the new one
    is first used. Key, Connect URL and associations stay.
    """
    if now and grace is not None:
        raise click.UsageError("--now leaves no --grace: give one of them.")
    public_key = _public_key(public_file)
    new = client.rotate_key(access_key_id, region=region, grace=grace, now=now, public_key=public_key)
    if public_key is not None:
        _of_own_pair(new.key, output)
        return
    _hand_over(
        new,
        output,
        "The new secret was made, but it is lost: rotate again with --now, which ends the others.",
    )
    if output == "text":
        say(f"{new.key.access_key_id} ({new.key.key_id}) has a new secret. It is on stdout, this once.")
        if now:
            say("The old one has ended; its agents need the new one.")
        else:
            say(f"Give it to all agents; who still uses the old one: aditus keys show {access_key_id}")


@command.command(
    epilog="""\b
Examples:
  aditus keys update orders --expires 365d --description 'the shop in Lyon'
  aditus keys update orders --allow-port 5432 --allow-source 192.0.2.0/24 --allow-source 2001:db8::/32
  aditus keys update orders --expires never --allow-any-port --allow-any-source"""
)
@_ID
@click.option("--description", help="What people should know of it.")
@click.option("--expires", metavar="SPAN|never", callback=_end, help="When it ends, such as 90d; or never.")
@_ports_option
@click.option("--allow-any-port", "any_port", is_flag=True, help="Its agents may offer any app port.")
@_sources_option
@click.option("--allow-any-source", "any_source", is_flag=True, help="Its agents may dial from anywhere.")
@region_option
@output_option
@asks_api
def update(
    client: "Client",
    access_key_id: str,
    description: str | None,
    expires: float | None,
    ports: tuple[int, ...],
    any_port: bool,
    sources: tuple[str, ...],
    any_source: bool,
    region: str,
    output: Format,
) -> None:
    """Change what is named of a key, and nothing else.

    A later end revives an expired key. Rules apply at once, also to what is attached: it loses what they
    do not allow.
    """
    changes: dict[str, object] = {}
    if description is not None:
        changes["description"] = description
    if expires is not None:
        changes["expires_at"] = None if expires == NEVER else expires
    for name, chosen, anything in (
        ("allowed_ports", list(ports), any_port),
        ("allowed_sources", list(sources), any_source),
    ):
        if chosen and anything:
            raise click.UsageError("Some and any are both allowed: give one of them.")
        if chosen or anything:
            changes[name] = chosen or None
    if not changes:
        raise click.UsageError("Nothing is to be changed.")
    _print(client.update_key(access_key_id, changes, region=region), output)


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
            "expires": _expires(key),
            "revoked": f"{when(key.revoked_at)} by {key.revoked_by}" if key.revoked_at else "",
            "last used": _last_used(key),
            "rotation": _rotation(key),
            "allowed ports": "none" if key.allowed_ports == () else key.allowed_ports,
            "allowed sources": "none" if key.allowed_sources == () else key.allowed_sources,
            "apps": key.apps,
        }
    )


def _expires(key: AccessKey) -> str:
    if key.expiry_warning is None:
        return when(key.expires_at)
    days = "a day" if key.expiry_warning == 1 else f"{key.expiry_warning} days"
    return f"{when(key.expires_at)} (within {days})"


def _last_used(key: AccessKey) -> str:
    if key.last_used_at is None:
        return "never"
    return (
        f"{when(key.last_used_at)} from {key.last_used_from}"
        f" by {key.last_used_version}, instance {key.last_used_instance}"
    )


def _rotation(key: AccessKey) -> str:
    if key.rotation is None:
        return ""
    since = f"since {when(key.rotation.started_at)}"
    old = key.rotation.old_instances
    users = "" if old is None else f"; {old} agents still use the old one"
    if key.rotation.ends_at is None:
        return f"{since}; the new secret was not used yet{users}"
    return f"{since}; the old secret ends {when(key.rotation.ends_at)}{users}"


def _hand_over(new: NewAccessKey, output: Format, if_lost: str) -> None:
    """Print the secret, this once; `if_lost` says what to do when it cannot be printed."""
    if new.secret is None:
        raise AditusError(
            Code.INTERNAL,
            "no-secret",
            "The server made the secret and did not send it.",
            remedy="Tell whoever runs the server; it is older than this program, or broken.",
        )
    try:
        if output == "json":
            write_json({**plain(new.key), "secret_access_key": new.secret.reveal()})
        else:
            write(new.secret.reveal())
    except click.ClickException as error:
        raise click.ClickException(f"{error.message} {if_lost}") from error


def _public_key(file: str | None) -> bytes | None:
    if file is None:
        return None
    from aditus.config.keypair import read_public_key

    return read_public_key(file, Surroundings.of_process())


def _of_own_pair(key: AccessKey, output: Format) -> None:
    """The server has no secret to show: it stays with whoever made the pair."""
    _print(key, output)
    if output == "text":
        say(
            "The server has the public key alone. Where the private one is, make the secret of it:\n"
            f"  aditus keypair PRIVATE_FILE --key-id {key.key_id} --region {key.region} --out SECRET_FILE"
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
