"""One of everything that pages of the console show, with texts as the tests choose them."""

import dataclasses
from dataclasses import dataclass

from sqlalchemy import update

from aditus.control.service.keys import KeyPatch
from aditus.domain.model import AppCredential, Caller, NewAccessKey, Role, Subscription
from aditus.domain.relays import (
    CredentialUse,
    KeyRefusal,
    KeyUse,
    PortStatus,
    RelayReport,
    SidecarView,
    StreamRecord,
)
from aditus.store import keys, members, people, subscriptions
from aditus.store.schema import organizations, users
from aditus.store.schema import subscriptions as subscriptions_table
from tests.console.visitor import House
from tests.control_plane import CAPABILITY, REGION, START

DAY_SECONDS = 86_400.0
BARE_REGION = "remote"
"""Where the subscription has no capability."""


@dataclass(frozen=True)
class Texts:
    """What people and agents call things; each ends with which of them it is."""

    name: str = "harmless"
    email: str = "harmless-"
    line: str = "harmless line"
    bare: str = "plain"
    """A name as it is."""

    def named(self, which: str) -> str:
        """The name of an access key, an app, …"""
        return f"{self.name} {which}"

    def mailed(self, who: str) -> str:
        """An email."""
        return f"{self.email}{who}@x.example"

    def told(self, which: str) -> str:
        """What an agent or a browser says of itself, or a description."""
        return f"{self.line} {which}"


HARMLESS = Texts()


class Furniture:
    """A house with one of everything in it; the house's `ids` name them."""

    def __init__(self, house: House, texts: Texts = HARMLESS) -> None:
        self.house = house
        self.plane = house.plane
        self.texts = texts
        self.secrets: list[str] = []
        """The texts that no page may show."""
        self._name_the_owner()
        self._people()
        self._keys_and_apps()
        self._agents()
        self._sidecars()
        self.cookies = {
            who: self._kept(house.session(user_id))
            for who, user_id in (
                ("owner", "owner"),
                ("member", "member"),
                ("team_admin", "admin"),
                ("other_team_admin", "admin2"),
                ("stranger", self.plane.stranger().caller_id),
            )
        }

    @property
    def owner(self) -> str:
        """The owner's cookie."""
        return self.cookies["owner"]

    def _kept(self, secret: str) -> str:
        self.secrets.append(secret)
        return secret

    def _name_the_owner(self) -> None:
        plane, texts = self.plane, self.texts
        email = texts.mailed("owner")
        with plane.database.write() as tx:
            tx.execute(update(users).where(users.c.user_id == "owner").values(email=email))
            tx.execute(update(organizations).values(name=texts.named("organisation")))
            tx.execute(update(subscriptions_table).values(name=texts.named("first")))
            second = texts.named("second")
            subscriptions.add(
                tx,
                Subscription("secondsub", "defaultorg", "secondloc", second, (CAPABILITY,), (REGION,)),
                500,
                START + 1,  # the first one stays the oldest
            )
        plane.owner = Caller("owner", email, "defaultorg", Role.OWNER, is_person=True)
        plane.add_region(BARE_REGION)

    def _people(self) -> None:
        plane, texts, services = self.plane, self.texts, self.plane.services
        with plane.database.write() as tx:
            for user_id, role in (("member", Role.MEMBER), ("admin", Role.TEAM_ADMIN)):
                email = texts.mailed(user_id)
                people.add_user(tx, user_id, "defaultorg", email, "-", role, plane.clock.now)
            people.add_user(tx, "admin2", "defaultorg", "admin2@x", "-", Role.TEAM_ADMIN, plane.clock.now)
            members.set_team_admin_of(tx, "admin", [plane.subscription.subscription_id])
            members.set_team_admin_of(tx, "admin2", ["secondsub"])
        for role, locator in ((Role.TEAM_ADMIN, plane.subscription.locator), (Role.MEMBER, "")):
            email = texts.mailed(f"invited-{role.value}")
            plane.clock.now += 1  # lists go by age
            invited = services.invitations.create(plane.owner, email, role, locator=locator)
            self._kept(invited.secret.reveal())
            self.house.ids["invitation_id"] = invited.invitation.invitation_id
        member = Caller("member", texts.mailed("member"), "defaultorg", Role.MEMBER, is_person=True)
        admin_of = frozenset({plane.subscription.subscription_id})
        admin = dataclasses.replace(member, caller_id="admin", role=Role.TEAM_ADMIN, team_admin_of=admin_of)
        for caller in (plane.owner, member, admin):
            made = services.tokens.create(caller, texts.named("token"), role=caller.role)
            self._kept(made.secret.reveal())
            self.house.ids.setdefault("token_id", made.token.token_id)
        self.house.ids["user_id"] = "member"
        another = self._kept(self.house.session("owner", texts.told("browser"), texts.told("from")))
        self.house.ids["session_id"] = self.house.session_id(another)

    def _key(self, access_key_id: str, expires_at: float | None = None) -> NewAccessKey:
        self.plane.clock.now += 1
        description = self.texts.told("description")
        made = self.plane.services.keys.generate(
            self.plane.owner,
            "0",
            REGION,
            access_key_id,
            CAPABILITY,
            description=description,
            expires_at=expires_at,
        )
        assert made.secret is not None
        self._kept(made.secret.reveal())
        return made

    def _keys_and_apps(self) -> None:
        plane, texts, services, ids = self.plane, self.texts, self.plane.services, self.house.ids
        owner = plane.owner
        self.key = self._key(texts.named("key")).key
        rules = KeyPatch(allowed_ports=[5432, 6379], allowed_sources=["192.0.2.0/24"])
        self.key = services.keys.patch(owner, "0", REGION, self.key.access_key_id, rules)
        suspended = self._key(texts.bare).key
        services.keys.suspend(owner, "0", REGION, suspended.access_key_id)
        self.rotated = self._key(texts.named("rotated")).key
        new = services.rotation.rotate(owner, "0", REGION, self.rotated.access_key_id, grace=None)
        assert new.secret is not None
        self._kept(new.secret.reveal())
        self._key(texts.named("ends"), plane.clock.now + 2 * DAY_SECONDS)
        dead = self._key(texts.named("dead")).key
        for name, key in (("app", self.key), ("on dead", dead), ("on none", None)):
            plane.clock.now += 1  # lists go by age
            app = services.apps.create(owner, "0", texts.named(name), CAPABILITY)
            ids[f"app_id {name}"] = app.app_id
            ids.setdefault("app_id", app.app_id)
            if key is not None:
                services.apps.associate(owner, "0", app.app_id, key.access_key_id, region=REGION)
        services.keys.revoke(owner, "0", REGION, [dead.access_key_id])
        ids["key_id"] = self.key.key_id
        for name, key in (("suspended", suspended), ("rotated", self.rotated), ("dead", dead)):
            ids[f"key_id {name}"] = key.key_id

    def _agents(self) -> None:
        plane, texts = self.plane, self.texts
        key, line = self.key, texts.told
        plane.relays.attach(key, 5432, streams=2)
        plane.relays.attach(self.rotated, 6379)
        refused = PortStatus(7000, accepted=False, verdict="conflict", detail=line("detail"))
        plane.relays.live = [
            dataclasses.replace(
                tunnel,
                agent_host=line("host"),
                agent_version=line("version"),
                peer=line("peer"),
                ports=(*tunnel.ports, refused),
                old_secret=tunnel.key_id == self.rotated.key_id,
            )
            for tunnel in plane.relays.live
        ]
        self.house.ids["tunnel_id"] = plane.relays.live[0].tunnel_id
        now = plane.clock.now
        with plane.database.read() as tx:
            known = keys.relay_keys(tx, [key.key_id])
        use = KeyUse(
            key.key_id, known[0].secrets[0].public_key, now, line("from"), "00" * 16, line("version")
        )
        record = StreamRecord(
            *(key.subscription_id, REGION, key.key_id, key.access_key_id, "tunnel0", "00" * 16, 5432, ""),
            *(line("source"), now - 2, now - 1, 3, 4, 0.5, line("reason")),
        )
        refusals = KeyRefusal(key.key_id, line("reason"), line("source"), 3)
        plane.services.reports.take(
            REGION, RelayReport(uses=(use,), streams=(record,), key_refusals=(refusals,))
        )

    def credential(self, app_id: str) -> AppCredential:
        """One more credential of an app."""
        self.plane.clock.now += 1
        made = self.plane.services.credentials.create(self.plane.owner, "0", app_id)
        self._kept(made.secret.reveal())
        return made.credential

    def sidecar(self, app_id: str, credential_id: str, streams: int = 0) -> SidecarView:
        """Put up a sidecar, as the relay would tell of it."""
        plane, line = self.plane, self.texts.told
        sidecar = SidecarView(
            *(app_id, plane.subscription.subscription_id, credential_id, "11" * 16, 0),
            *(line("sidecar"), line("app host"), line("app peer"), plane.clock.now, (5432,)),
            *(streams, streams, 5, 6),
        )
        plane.relays.attached_sidecars.append(sidecar)
        return sidecar

    def _sidecars(self) -> None:
        plane, ids, line = self.plane, self.house.ids, self.texts.told
        app_id = ids["app_id"]
        dead, live = self.credential(app_id), self.credential(app_id)
        plane.services.credentials.revoke(plane.owner, "0", app_id, dead.credential_id)
        for _ in range(2):  # an app with no place left
            self.credential(ids["app_id on none"])
        ids["credential_id"], ids["credential_id dead"] = live.credential_id, dead.credential_id
        self.sidecar(app_id, live.credential_id, streams=3)
        use = CredentialUse(live.credential_id, plane.clock.now, line("app source"), line("app version"))
        plane.services.reports.take(REGION, RelayReport(credential_uses=(use,)))
