"""What `aditus serve` says when it is up: where it listens, and what to do next."""

from typing import TYPE_CHECKING, TextIO

from aditus import __version__
from aditus.config.serve import ServeConfig
from aditus.wiring.data_folder import OWNER_TOKEN

if TYPE_CHECKING:
    from aditus.wiring.serve import Server

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"


def show(config: ServeConfig, server: "Server", out: TextIO) -> None:
    """Write the banner; coloured on a terminal alone."""
    bold, dim, reset = (_BOLD, _DIM, _RESET) if out.isatty() else ("", "", "")
    trust = f"  --ca-file {server.ca_file}" if server.ca_file else ""
    apps = f"{config.app_listen}:<app port>" if config.app_listen else "off"
    lines = [
        f"{bold}Aditus {__version__}{reset}, region {config.region}",
        f"  API            {server.api_url}",
        f"  relay          {server.relay_url}  {dim}(listening on {server.relay_address}){reset}",
        f"  apps connect   {apps}",
        f"  data           {config.data}",
        "",
        f"{bold}Next, in another terminal{reset}",
        f"  export ADITUS_API={server.api_url} ADITUS_TOKEN=$(cat {config.data / OWNER_TOKEN})",
        "  aditus keys generate my-key --capability integration",
        f"  aditus connect --access-key-file - -s 5432:db.internal:5432{trust}  <its Connect URL>",
        "",
    ]
    if server.made.first is not None:
        lines.insert(1, f"  {dim}first start: made everything in {config.data}{reset}")
    out.write("\n".join(lines) + "\n")
    out.flush()
