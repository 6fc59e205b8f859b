"""`aditus keypair`: secrets of access keys and of apps that no server has ever seen."""

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
@click.option("--credential-id", help="Or that of an app's credential, without a region.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the secret is written to.")
def command(
    file: Path, key_id: str | None, region: str | None, credential_id: str | None, out: Path | None
) -> None:
    """Make a key pair, offline; or make the secret of one.

    A new private key is written to FILE, and the public one to stdout, for `keys generate --public-key` and
    `apps credential --public-key`. With --key-id, --region and --out, the private key in FILE becomes a
    secret access key, for `configure` and `connect`. With --credential-id and --out it becomes the secret of
    an app, for `sidecar`. Files are for you alone (mode 0600); none is overwritten.
    """
    from aditus.config.keypair import make_pair, make_secret

    if key_id is None and region is None and credential_id is None and out is None:
        write(make_pair(file))
        say(f"The private key is in {file}: keep it there. The public key is on stdout.")
    elif credential_id is not None and key_id is None and region is None and out is not None:
        warn(make_secret(file, credential_id, None, out))
        say(f"The secret of the credential {credential_id} is in {out}. {file} is no longer needed.")
    elif key_id is None or region is None or credential_id is not None or out is None:
        raise click.UsageError("--key-id, --region and --out go together, or --credential-id and --out.")
    else:
        warn(make_secret(file, key_id, region, out))
        say(f"The secret access key {key_id} is in {out}. {file} is no longer needed.")
