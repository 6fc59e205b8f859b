"""`aditus keypair`: a secret access key whose secret no server has ever seen."""

from pathlib import Path

import click

from aditus.cli.output import say, warn, write


@click.command(
    epilog="""\b
The whole way, of which the server sees the public key alone:
  aditus keypair plant.pem > plant.pub
  aditus keys generate plant --capability integration --public-key plant.pub
  aditus keypair plant.pem --key-id 4gTkAbCdEf01 --region local --out plant.key"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key-id", help="The key_id that the server gave to the public key.")
@click.option("--region", help="The region of that key.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the secret access key is written to.")
def command(file: Path, key_id: str | None, region: str | None, out: Path | None) -> None:
    """Make a key pair, offline; or make the secret of one.

    A new private key is written to FILE, and the public one to stdout, for `keys generate --public-key`.
    With --key-id, --region and --out, the private key in FILE becomes a secret access key, for `configure`
    and `connect`. Files are for you alone (mode 0600); none is overwritten.
    """
    from aditus.config.keypair import make_pair, make_secret

    if key_id is None and region is None and out is None:
        write(make_pair(file))
        say(f"The private key is in {file}: keep it there. The public key is on stdout.")
    elif key_id is None or region is None or out is None:
        raise click.UsageError("--key-id, --region and --out go together.")
    else:
        warn(make_secret(file, key_id, region, out))
        say(f"The secret access key {key_id} is in {out}. {file} is no longer needed.")
