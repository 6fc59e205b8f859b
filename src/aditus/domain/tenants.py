"""Organisations and what their subscriptions may use where, as frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Organization:
    """The tenant, to which users and subscriptions belong."""

    organization_id: str
    name: str
    created_at: float


@dataclass(frozen=True, slots=True)
class SubscriptionRegion:
    """What one subscription may use in one region: `used` of `limit` unrevoked access keys are there."""

    locator: str
    name: str  # of the subscription
    organization: str  # its name
    region: str
    capabilities: tuple[str, ...]
    used: int
    limit: int
