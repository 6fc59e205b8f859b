"""`aditus keys verify`: whether a secret access key is whole, and whether a relay accepts it."""

from pathlib import Path

import click

from aditus.cli import asking
from aditus.cli.output import Format, output_option, say, warn, write, write_json
from aditus.config.client_cert import ClientCert
from aditus.config.client_cert import client_cert as shown_cert
from aditus.config.files import STDIN, read_secret
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import ParsedKey, parse_access_key

REFUSALS = (Code.FORBIDDEN, Code.UNAUTHENTICATED)
"""What a relay says of a key; other errors say nothing about it."""


@click.command(
    epilog="""\b
Examples:
  aditus keys verify orders.key
  aditus keys verify orders.key --online --relay wss://relay.example.com"""
)
@click.argument("file", default=STDIN)
@click.option("--online", is_flag=True, help="Ask the relay, too, whether it accepts the secret.")
@click.option(
    "--relay", metavar="URL",
    help="The relay to ask: wss://host[:port].  [env: ADITUS_RELAY; default: of the profile]",
)  # fmt: skip
@click.option("--profile", metavar="NAME", help="Whose relay to ask.  [default: default]")
@click.option(
    "--ca-file", type=click.Path(path_type=Path), envvar="ADITUS_CA_FILE",
    help="Trust these CAs besides the system's.",
)  # fmt: skip
@click.option(
    "--client-cert", type=click.Path(path_type=Path), metavar="FILE",
    help="Show this certificate (PEM) to a balancer that wants one.",
)  # fmt: skip
@click.option(
    "--client-key", type=click.Path(path_type=Path), metavar="FILE",
    help="Its private key (PEM, not encrypted).  [default: in the file of --client-cert]",
)  # fmt: skip
@click.option("--proxy", metavar="URL", help="Dial through this proxy: http://… or socks5://….")
@output_option
def verify(
    file: str,
    online: bool,
    relay: str | None,
    profile: str | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    proxy: str | None,
    output: Format,
) -> None:
    """Check a secret access key for typos, or with a relay.

    It is read from FILE, - or nothing being stdin; offline, form and checksum are checked. With --online, a
    relay says whether it accepts the secret: it gets a proof that is good for a minute, never
    the secret; no tunnel comes of it. Ends with 2 if the secret has a typo, 3 if the relay refuses it, 6 if
    the relay cannot be asked.
    """
    if not online and (relay, profile, proxy, client_cert, client_key) != (None,) * 5:
        raise click.UsageError(
            "--relay, --profile, --proxy, --client-cert and --client-key are for --online."
        )
    surroundings = Surroundings.of_process()
    key = parse_access_key(_read(file, surroundings))
    found: dict[str, object] = {"valid": True, "key_id": key.key_id, "region": key.region}
    if not online:
        if output == "json":
            write_json(found)
        else:
            write(f"The form is right: key {key.key_id} of the region {key.region}.")
            say("Whether it is accepted, only a relay knows: --online asks one.")
        return
    try:
        shown = shown_cert(client_cert, client_key)
        where = _ask(key, relay, profile, proxy, ca_file, shown, surroundings)
    except AditusError as error:
        if output == "json" and error.code in REFUSALS:
            write_json({**found, "accepted": False, "reason": error.reason})
        raise
    if output == "json":
        write_json({**found, "accepted": True, "reason": ""})
    else:
        write(f"The relay {where} accepts the key {key.key_id} of the region {key.region}.")


def _read(file: str, surroundings: Surroundings) -> str:
    if file == STDIN and asking.has_person():
        return asking.secret("Secret access key").reveal()
    secret, notices = read_secret(file, "FILE", surroundings)
    warn(notices)
    return secret.reveal()


def _ask(
    key: ParsedKey,
    relay: str | None,
    profile: str | None,
    proxy: str | None,
    ca_file: Path | None,
    client_cert: ClientCert | None,
    surroundings: Surroundings,
) -> str:
    """The relay that accepts the key. Raises `AditusError`."""
    from aditus.config.connect import relay_to_ask
    from aditus.wiring import verify as wiring

    if client_cert is not None:
        warn(client_cert.notices)
    url, through = relay_to_ask(relay, profile, proxy, surroundings)
    ahead = wiring.ask(key, url, ca_file, client_cert, through)
    if ahead:
        way = "behind" if ahead > 0 else "ahead of"
        warn([f"the clock of this machine is {abs(ahead):.0f} s {way} the relay's; set it, by NTP"])
    return str(url.relay)
