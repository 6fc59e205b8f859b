"""What happens in a subscription, as those who follow it are told: how something is now, not what changed."""

from dataclasses import dataclass
from enum import StrEnum

from aditus.domain.model import AccessKey, Quota
from aditus.domain.relays import TunnelView


class TunnelChange(StrEnum):
    """An agent attached, was answered to the ports that it offers, or is gone."""

    ATTACHED = "attached"
    OFFERED = "offered"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """An access key was made or changed, or came nearer to its end."""

    key: AccessKey


@dataclass(frozen=True, slots=True)
class TunnelEvent:
    """A tunnel of this server's relay changed."""

    change: TunnelChange
    tunnel: TunnelView


@dataclass(frozen=True, slots=True)
class QuotaEvent:
    """More or fewer keys of a region are in use, or may be."""

    quota: Quota


Event = KeyEvent | TunnelEvent | QuotaEvent
