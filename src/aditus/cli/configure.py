"""`aditus configure`: store an access key and its relay under a name."""

from pathlib import Path

import click

from aditus.cli import asking
from aditus.cli.output import say, warn
from aditus.cli.tibtunnel import Flag, TibtunnelCommand, refuse_basic_auth
from aditus.config.access_key import FoundKey, check_access_key, find_access_key
from aditus.config.profiles import DEFAULT, find_profile, store_profile
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import parse_relay_url
from aditus.domain.errors import invalid
from aditus.domain.keytext import parse_access_key


@click.command(
    cls=TibtunnelCommand,
    epilog="""\b
Examples:
  aditus configure --access-key-file -             then paste the secret, Ctrl-D
  aditus configure --profile eu --relay wss://relay.eu.example.com --access-key-file key.txt""",
)
@click.option(
    "--config-dir",
    type=click.Path(path_type=Path),
    help="Where the credentials file is.  [default: ~/.aditus]",
)
@click.option(
    "--profile", default=DEFAULT, show_default=True, metavar="NAME", help="The name to store it under."
)
@click.option("--relay", metavar="URL", help="Where to dial without a Connect URL: wss://host[:port].")
@click.option("--access-key-file", metavar="FILE", help="Read the secret access key from a file; - is stdin.")
@click.option(
    "-a", "--accessKey", "--access-key", "access_key", metavar="SECRET",
    help="The secret access key itself (others can see it there).",
)  # fmt: skip
@click.option("--basicauth/--no-basicauth", cls=Flag, hidden=True)
@click.option("--user", hidden=True)
@click.option("--password", hidden=True)
@click.option("--log-format", hidden=True, type=click.Choice(["text", "json"]))  # charts of tibtunnel have it
def command(
    config_dir: Path | None,
    profile: str,
    relay: str | None,
    access_key_file: str | None,
    access_key: str | None,
    basicauth: bool | None,
    user: str | None,
    password: str | None,
    log_format: str | None,
) -> None:
    """Store an access key and its relay under a name.

    `aditus connect --profile NAME` uses them. Without an option, the secret is taken from
    ADITUS_ACCESS_KEY, or asked for on a terminal. What is not given stays as it is stored.
    """
    refuse_basic_auth(basicauth or None, user, password)
    surroundings = Surroundings.of_process()
    relay_url = parse_relay_url(relay) if relay is not None else None
    found = find_access_key(access_key, access_key_file, surroundings)
    if found is None and relay_url is None:
        found = _ask()
    warn(found.notices if found else ())
    path = store_profile(profile, found.secret if found else None, relay_url, config_dir, surroundings)
    stored = find_profile(profile, config_dir, surroundings)
    if found:
        key = parse_access_key(found.secret.reveal())
        say(f"The key {key.key_id} of the region {key.region} is stored as profile {profile} in {path}.")
    else:
        say(f"The relay of the profile {profile} is stored in {path}.")
    if stored and not stored.relay:
        say("No relay is stored with it: give `aditus connect` the Connect URL, or --relay.")


def _ask() -> FoundKey:
    if not asking.has_person():
        raise invalid(
            "no-secret",
            "There is nothing to store.",
            remedy="Give --access-key-file FILE (- is stdin), ADITUS_ACCESS_KEY, or --relay URL.",
            field="access_key",
        )
    return check_access_key(asking.secret("Secret access key"), "the terminal")
