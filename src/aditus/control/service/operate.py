"""What the operator does at the server's own machine, on the database itself: no API, no relay, no role."""

from collections.abc import Callable, Sequence

from aditus.control import audit
from aditus.control.service import inputs
from aditus.control.service.bootstrap import random_password
from aditus.control.service.feed import Change
from aditus.control.service.tenants import add_capability, make_subscription, set_key_quota
from aditus.crypto.keys import random_id
from aditus.crypto.passwords import hash_password
from aditus.domain import names, people
from aditus.domain.connect_url import parse_relay_url
from aditus.domain.errors import AditusError, Code, invalid
from aditus.domain.keytext import SecretText
from aditus.domain.model import DEFAULT_KEY_QUOTA, Region, Role, Subscription
from aditus.domain.people import Member
from aditus.domain.tenants import Organization, SubscriptionRegion
from aditus.store import members, regions, sessions, subscriptions, tenants
from aditus.store import people as users
from aditus.store.database import Database, Transaction


class Operate:
    """Use cases over a database that `aditus serve` has begun. `now` gives Unix seconds.

    `organization` is a name, empty for the only one. Raises `AditusError` throughout; `no-first-start`
    where there is no organisation yet. Each change is an entry of actor `operator` in the audit of the
    organisation that it concerns.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def regions(self) -> tuple[Region, ...]:
        """All regions, by name."""
        with self._database.read() as tx:
            return regions.every(tx)

    def add_region(self, name: str, relay_url: str) -> Region:
        """Make a region. It concerns all organisations, so it stands in the audit of each.

        Raises conflict `region-exists`.
        """
        made = Region(names.region_name(name), str(parse_relay_url(relay_url)))
        now = self._now()
        with self._database.exclusive() as tx:  # as the first start, which makes regions, too
            known = _begun(tx)
            if made.name in {one.name for one in regions.every(tx)}:
                raise AditusError(
                    Code.CONFLICT,
                    "region-exists",
                    "There is a region of this name.",
                    remedy="Choose another name. Its relay URL is that of the `aditus serve` of the region.",
                    field="region",
                )
            regions.add(tx, made, now)
            for organization in known:
                audit.record(
                    tx,
                    audit.operator(organization.organization_id),
                    "region.add",
                    made.name,
                    made.name,
                    now,
                    region=made.name,
                    details={"relay_url": made.relay_url},
                )
        return made

    def organizations(self) -> tuple[Organization, ...]:
        """All organisations, oldest first."""
        with self._database.read() as tx:
            return tenants.every_organization(tx)

    def add_organization(self, name: str) -> Organization:
        """Make an organisation, which has no users yet. Raises conflict `organization-exists`."""
        made = Organization(random_id(), names.organization_name(name), self._now())
        with self._database.write() as tx:
            _begun(tx)
            if not tenants.add_organization(tx, made):
                raise AditusError(
                    Code.CONFLICT,
                    "organization-exists",
                    "There is an organisation of this name.",
                    remedy="Choose another name.",
                    field="organization",
                )
            operator = audit.operator(made.organization_id)
            audit.record(tx, operator, "organization.add", made.organization_id, made.name, made.created_at)
        return made

    def subscription_regions(self) -> tuple[SubscriptionRegion, ...]:
        """What every subscription may use in which region."""
        with self._database.read() as tx:
            return tenants.every_subscription_region(tx)

    def add_subscription(
        self,
        organization: str,
        name: str,
        *,
        regions: Sequence[str],
        capabilities: Sequence[str],
        key_quota: int = DEFAULT_KEY_QUOTA,
    ) -> Subscription:
        """Make a subscription with these capabilities in each of these regions; no region: the only one."""
        now = self._now()
        with self._database.write() as tx:
            operator = audit.operator(_organization(tx, organization).organization_id)
            places = regions or [_only_region(tx)]
            return make_subscription(tx, operator, name, places, capabilities, key_quota, now)

    def add_capability(self, locator: str, region: str, capability: str) -> bool:
        """Give a subscription a capability in a region, and the region with it. False: it has it already.

        An empty `region` is the only one.
        """
        with self._database.write() as tx:
            found = _subscription(tx, locator)
            operator = audit.operator(found.organization_id)
            place = region or _only_region(tx)
            now = self._now()
            change = Change(tx, {}, now)  # no relay is here: those of servers hear of the epoch
            return add_capability(change, operator, found, place, capability, DEFAULT_KEY_QUOTA, now)

    def set_key_quota(self, locator: str, region: str, key_quota: int) -> None:
        """Change how many unrevoked keys a subscription may have in a region; empty: the only one."""
        with self._database.write() as tx:
            found = _subscription(tx, locator)
            operator = audit.operator(found.organization_id)
            set_key_quota(tx, operator, found, region or _only_region(tx), key_quota, self._now())

    def users(self) -> tuple[tuple[Organization, Member], ...]:
        """All users, by organisation, oldest first."""
        with self._database.read() as tx:
            return tuple(
                (organization, member)
                for organization in tenants.every_organization(tx)
                for member in members.every(tx, organization.organization_id)
            )

    def add_user(
        self, email: str, *, organization: str, role: Role, locators: Sequence[str] = ()
    ) -> SecretText:
        """Make a user and return the password, which nobody has but the caller.

        A team administrator is one of the subscriptions with these locators. Raises conflict `email-taken`.
        """
        email, now, user_id, password = people.email(email), self._now(), random_id(), random_password()
        if (role is Role.TEAM_ADMIN) != bool(locators):
            raise invalid(
                "team-admin-of",
                "A team_admin is one of named subscriptions, and nobody else is.",
                remedy="Name at least one subscription with the role team_admin, and none with another.",
                field="subscription",
            )
        stored = hash_password(password.reveal())
        with self._database.write() as tx:
            owner = _organization(tx, organization)
            administrated = [_subscription(tx, locator) for locator in locators]
            if any(one.organization_id != owner.organization_id for one in administrated):
                raise _no_subscription()
            if not users.add_user(tx, user_id, owner.organization_id, email, stored, role, now):
                raise AditusError(
                    Code.CONFLICT,
                    "email-taken",
                    "There is a user with this email address.",
                    remedy="Use another address; `aditus admin user list` has those that are taken.",
                    field="email",
                )
            members.set_team_admin_of(tx, user_id, {one.subscription_id for one in administrated})
            audit.record(
                tx,
                audit.operator(owner.organization_id),
                "user.add",
                user_id,
                email,
                now,
                details={"role": role.value, "team_admin_of": " ".join(locators)},
            )
        return password

    def reset_password(self, email: str) -> tuple[SecretText, int]:
        """Give a user another password, and end all sessions: the password, and how many these were.

        API tokens of the user stay: they do not come from the password. Raises not-found.
        """
        email, password = people.email(email), random_password()
        stored = hash_password(password.reveal())
        with self._database.write() as tx:
            user = members.by_email(tx, email)
            if user is not None:  # whoever signs in, or changes or removes the user meanwhile, waits
                members.lock(tx, user.organization_id)
                user = members.by_email(tx, email)
            if user is None:
                raise AditusError(
                    Code.NOT_FOUND,
                    "not-found",
                    "There is no user with this email address.",
                    remedy="`aditus admin user list` has all of them.",
                    field="email",
                )
            members.set_password(tx, user.user_id, stored)
            ended = sessions.end_all(tx, user.user_id)
            audit.record(
                tx,
                audit.operator(user.organization_id),
                "password.reset",
                user.user_id,
                email,
                self._now(),
                details={"sessions_ended": ended},
            )
        return password, ended


def _begun(tx: Transaction) -> tuple[Organization, ...]:
    """The organisations, of which the first start has made one: what comes before it would prevent it."""
    known = tenants.every_organization(tx)
    if not known:
        raise invalid(
            "no-first-start",
            "The database is empty: no `aditus serve` has begun it yet.",
            remedy="Start `aditus serve` once with this database; it makes the first organisation and owner.",
        )
    return known


def _organization(tx: Transaction, name: str) -> Organization:
    known = _begun(tx)
    if not name and len(known) > 1:
        raise invalid(
            "which-organization",
            "There are several organisations, and none is named.",
            remedy="Name one with --organization; `aditus admin organization list` has them.",
            field="organization",
        )
    wanted = names.organization_name(name) if name else known[0].name
    found = next((one for one in known if one.name == wanted), None)
    if found is None:
        raise AditusError(
            Code.NOT_FOUND,
            "not-found",
            "There is no organisation of this name.",
            remedy="`aditus admin organization list` has those that there are.",
            field="organization",
        )
    return found


def _only_region(tx: Transaction) -> str:
    known = regions.every(tx)
    if len(known) != 1:
        raise invalid(
            "which-region",
            "There are several regions, and none is named.",
            remedy="Name one with --region; `aditus admin region list` has them.",
            field="region",
        )
    return known[0].name


def _subscription(tx: Transaction, locator: str) -> Subscription:
    found = subscriptions.by_locator(tx, locator) if inputs.is_id(locator) else None
    if found is None:
        raise _no_subscription()
    return found


def _no_subscription() -> AditusError:
    return AditusError(
        Code.NOT_FOUND,
        "not-found",
        "There is no such subscription, or it is another organisation's.",
        remedy="`aditus admin subscription list` has the locators of all.",
        field="subscription",
    )
