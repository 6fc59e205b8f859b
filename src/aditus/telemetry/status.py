"""What an agent or a sidecar tells its operator while it runs: one row per link."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link to a relay, at one moment. Bytes are payload, `in` being from the apps to the services."""

    relay: str  # host[:port] as dialled
    state: str  # connecting, attached, waiting or stopped
    ports: str  # app ports with the relay's verdicts, for people: "5432 6379(port-not-allowed)"
    streams: int  # open now
    bytes_in: int
    bytes_out: int
    rtt_ms: float | None  # None: not measured yet
    since: float  # when this state began, Unix seconds
    note: str = ""  # why it is not attached, or a warning


class StatusView(Protocol):
    """Where the rows are shown. `cli.statusline` is one; a pipe has none."""

    def update(self, rows: Sequence[LinkRow]) -> None:
        """Show these rows instead of the last ones."""
        ...

    def close(self) -> None:
        """Leave the last rows where they stand and give the terminal back."""
        ...


def in_words(rows: Sequence[LinkRow]) -> str:
    """The rows in one line: `attached to relay.example.com, 1 of 2 ports; …`."""
    return "; ".join(map(_in_words, rows))


def _in_words(row: LinkRow) -> str:
    if row.state != "attached":
        return f"{row.state}: {row.relay} {row.note}".rstrip()
    ports = row.ports.split()
    served = sum("(" not in port for port in ports)
    count = f"{served}" if served == len(ports) else f"{served} of {len(ports)}"
    return f"attached to {row.relay}, {count} port{'s' * (len(ports) != 1)}"
