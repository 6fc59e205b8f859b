"""All use cases over one database, as `wiring` builds them and the API takes them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from aditus.control.auth import Authenticator
from aditus.control.service.apps import Apps
from aditus.control.service.chain import Chain
from aditus.control.service.context import Context
from aditus.control.service.credentials import Credentials
from aditus.control.service.events import Events
from aditus.control.service.expiry import Expiry
from aditus.control.service.feed import KeyFeed
from aditus.control.service.hub import Hub
from aditus.control.service.invitations import Invitations
from aditus.control.service.keys import Keys
from aditus.control.service.members import Members
from aditus.control.service.news import News
from aditus.control.service.refused import Refused
from aditus.control.service.reports import Reports
from aditus.control.service.rotation import Rotation
from aditus.control.service.sign_in import SignIn
from aditus.control.service.subscriptions import Subscriptions
from aditus.control.service.tokens import Tokens
from aditus.control.service.tunnels import Tunnels
from aditus.domain.ports import LiveRelays
from aditus.store.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """What the control plane can do. Every method may be called from any thread, and blocks."""

    auth: Authenticator
    keys: Keys
    apps: Apps
    credentials: Credentials
    tunnels: Tunnels
    tokens: Tokens
    subscriptions: Subscriptions
    sign_in: SignIn
    members: Members
    invitations: Invitations
    events: Events
    chain: Chain
    refused: Refused
    reports: Reports
    rotation: Rotation
    expiry: Expiry
    feed: KeyFeed
    news: News
    alive: Callable[[], None]
    """Asks the database for a sign of life. Raises `AditusError` `database-unavailable`."""


def build(database: Database, relays: LiveRelays, now: Callable[[], float] = time.time) -> Services:
    """The services over an open database and the relays that run now; `now` gives Unix seconds."""
    feed = KeyFeed(database, relays, now)
    news = News(database, Hub(), now)
    feed.changed = news.keys_changed
    context = Context(database, relays, feed, now)
    rotation = Rotation(context)
    refused = Refused(context)
    return Services(
        auth=Authenticator(database, now),
        keys=Keys(context),
        apps=Apps(context),
        credentials=Credentials(context),
        tunnels=Tunnels(context),
        tokens=Tokens(context),
        subscriptions=Subscriptions(context),
        sign_in=SignIn(context),
        members=Members(context),
        invitations=Invitations(context),
        events=Events(context),
        chain=Chain(context),
        refused=refused,
        reports=Reports(context, rotation, refused),
        rotation=rotation,
        expiry=Expiry(context, news.keys),
        feed=feed,
        news=news,
        alive=database.check,
    )
