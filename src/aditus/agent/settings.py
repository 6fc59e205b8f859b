"""What an agent is told at its start. `config` fills it, nobody else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from aditus.domain.connect_url import ConnectUrl, RelayUrl
from aditus.domain.spec import Spec

TARGET_SECONDS = 10.0
"""How long a target may take to answer, its name's resolution included."""


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The relays to dial, the services to offer, and how long to try."""

    urls: tuple[ConnectUrl, ...]
    specs: tuple[Spec, ...]
    links: int = 1
    """WebSockets to each relay, 1 to `MAX_SLOT` + 1: each has streams, a loss and a TCP window of its own."""
    infinite_retries: bool = False
    proxies: Mapping[RelayUrl, str] = field(default_factory=dict, repr=False)  # with their passwords
    """Relays that are dialled through a proxy, and the URL of that; the others are dialled directly."""
    target_seconds: float = TARGET_SECONDS
    log_payload: bool = False
    """Log how many bytes pass and their first ones. For debugging alone: payload may hold secrets."""
