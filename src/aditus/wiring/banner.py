"""What `aditus serve` says when it is up: where it listens, and what to do next."""

import os
from shlex import quote
from typing import TextIO

from aditus import __version__
from aditus.config.address import Address
from aditus.config.serve import ServeConfig
from aditus.wiring.data_folder import OWNER_TOKEN

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def show(
    config: ServeConfig,
    out: TextIO,
    *,
    api_url: str,
    relay_url: str,
    relay_address: Address,
    ca_file: str,
    first_start: bool,
    has_owner_token: bool,
) -> None:
    """Write the banner; coloured on a terminal alone. `ca_file` is empty where agents need none."""
    coloured = out.isatty() and "NO_COLOR" not in os.environ
    bold, dim, reset = (_BOLD, _DIM, _RESET) if coloured else ("", "", "")
    trust = f"  --ca-file {quote(ca_file)}" if ca_file else ""
    api_trust = f" ADITUS_CA_FILE={quote(ca_file)}" if ca_file and api_url.startswith("https:") else ""
    owner_token = config.data / OWNER_TOKEN
    # With PostgreSQL another server may have made the owner, and has the token in its own folder.
    token = f"$(cat {quote(str(owner_token))})" if has_owner_token else "<the owner's>"
    apps = f"{config.app_listen}:<app port>" if config.app_listen else "off"
    lines = [
        f"{bold}Aditus {__version__}{reset}, region {config.region}",
        f"  console        {api_url}/",
        f"  API            {api_url}",
        f"  relay          {relay_url}  {dim}(listening on {relay_address}){reset}",
        f"  apps connect   {apps}",
        f"  data           {config.data}",
        "",
        f"{bold}Next, in another terminal{reset}",
        f"  export ADITUS_API={api_url}{api_trust} ADITUS_TOKEN={token}",
        "  aditus keys generate my-key --capability integration",
        f"  aditus connect --access-key-file - -s 5432:db.internal:5432{trust}  <its Connect URL>",
        "",
    ]
    if not has_owner_token:
        lines.insert(
            lines.index(""),
            f"  owner's token  not in {config.data}: whoever started first has it, or moved it",
        )
    if first_start:
        lines.insert(1, f"  {dim}first start: made everything in {config.data}{reset}")
    out.write("\n".join(lines) + "\n")
    out.flush()
