"""`aditus doctor`: what keeps an agent from working here, and what to do about it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aditus.cli.exits import BY_CODE, FAILURE, NETWORK, NOT_FOUND, OK, REFUSED, USAGE
from aditus.cli.output import Format, output_option, warn, write, write_json
from aditus.cli.tibtunnel import TibtunnelCommand
from aditus.config.connect import ConnectOptions, doctor_config
from aditus.config.profiles import DEFAULT
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import Code

if TYPE_CHECKING:
    from aditus.agent.doctor import Finding

WORST_FIRST = (USAGE, REFUSED, NOT_FOUND, NETWORK, FAILURE)
MARKS = {"ok": "✓", "warning": "!", "failure": "✗"}


@click.command(
    cls=TibtunnelCommand,
    epilog="""\b
Examples:
  aditus doctor wss://relay.example.com/connect/4gT… -s 5432:db.internal:5432
  aditus doctor --profile eu -o json

\b
Ends with the worst that was found: 2 no secret, or one with a typo; 3 the key is refused; 4 no such
Connect URL; 6 the relay cannot be reached; 1 a target cannot; 0 all is well.""",
)
@click.argument("connect_urls", metavar="[CONNECT_URL]...", nargs=-1)
@click.option("-s", "--spec", "specs", multiple=True, metavar="SPEC", help="A service to dial; repeatable.")
@click.option("--profile", metavar="NAME", help=f"Whose key and relay to look at.  [default: {DEFAULT}]")
@click.option("--relay", metavar="URL", help="Where to dial without a Connect URL: wss://host[:port].")
@click.option("--access-key-file", metavar="FILE", help="Read the secret access key from a file; - is stdin.")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Read options from this TOML file, as connect does.",
)  # fmt: skip
@click.option(
    "--config-dir", type=click.Path(path_type=Path), help="Where profiles are.  [default: ~/.aditus]"
)
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
@click.option("--proxy", metavar="URL", help="Dial through this proxy: http://… or socks5://…; or off.")
@output_option
def command(output: Format, **options: Any) -> int:
    """Say what keeps an agent from working here.

    Takes what connect takes, and attaches nothing: name, proxy, TCP, TLS chain and expiry, what answers
    there, the clock, the key (it gets a proof, never the secret), and each target, which sees somebody
    connect and leave.
    """
    config = doctor_config(ConnectOptions(**options), Surroundings.of_process())
    warn(config.notices)
    from aditus.wiring import doctor as wiring

    found: list[Finding] = []

    def tell(finding: "Finding") -> None:
        found.append(finding)
        if output == "text":
            write(f"{MARKS[finding.verdict]} {finding.check:<7} {finding.about}: {finding.text}")
            if finding.remedy:
                write(f"          {finding.remedy}")

    wiring.run(config, tell)
    if output == "json":
        write_json([dataclasses.asdict(finding) for finding in found])
    codes = {FAILURE if one.code is Code.INTERNAL else BY_CODE[one.code] for one in found if one.code}
    return next((code for code in WORST_FIRST if code in codes), OK)
