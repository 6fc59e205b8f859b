"""What a sidecar is told at its start. `config` and the SDK fill it, nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aditus.domain.connect_url import RelayUrl

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LocalPort:
    """A local port that leads to an app port, both 1 to 65535."""

    local: int
    app_port: int


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """Whose sidecar it is, the relays to dial, and where apps may knock."""

    app: str
    """The name or app_id of its app: the credential of another one is refused. Empty: whosever it is."""
    relays: tuple[RelayUrl, ...]
    listen: str | None = LOOPBACK
    """The address of local ports; None: there are none."""
    local_ports: tuple[LocalPort, ...] = ()
    """Those that are wanted; empty: one of the same number for each app port."""
    socks: tuple[str, int] | None = None
    http_proxy: tuple[str, int] | None = None
    """Where the proxies listen, host and port; None: there is none of this kind."""
    links: int = 1
    """WebSockets to each relay, 1 to `MAX_SLOT` + 1."""
    infinite_retries: bool = False
    proxies: Mapping[RelayUrl, str] = field(default_factory=dict, repr=False)  # with their passwords
    """Relays that are dialled through a proxy, and the URL of that."""
