"""All use cases over one database, as `wiring` builds them and the API takes them."""

from dataclasses import dataclass
from typing import Any

from aditus.domain.ports import LiveRelays
from aditus.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """auth, keys, apps, tunnels, tokens, subscriptions, events."""

    auth: Any
    keys: Any
    apps: Any
    tunnels: Any
    tokens: Any
    subscriptions: Any
    events: Any


def build(database: Database, relays: LiveRelays) -> Services:
    """The services over an open database and the relays that run now."""
    raise NotImplementedError
