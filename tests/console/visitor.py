"""Somebody who visits the console without a browser: sends and reads what a browser would."""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select
from starlette.routing import Route
from starlette.testclient import TestClient

from aditus.control.api.app import create_app
from aditus.control.console import site
from aditus.control.http.cookie import HOST_COOKIE
from aditus.control.http.limits import Limits
from aditus.control.service.sign_in import cookie_hash
from aditus.crypto import passwords
from aditus.crypto.keys import random_id
from aditus.store import members, sessions
from aditus.store.database import open_database
from aditus.store.schema import metadata
from tests.control_plane import REGION, ControlPlane

ORIGIN = "https://aditus.example"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": ORIGIN}
"""What a browser says of a form that it sends from the console's own page."""
EMAIL, PASSWORD = "owner@localhost", "correct horse battery"
FORM = "application/x-www-form-urlencoded"


@dataclass
class Sheet:
    """A form of a page, with the fields that it sends when nobody touches it."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    """The names of those that people type into."""


class Reading(HTMLParser):
    """A page as html.parser sees it: tags with their attributes, text, links and forms."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[tuple[str, str]] = []
        """Each text, with the tag that it stands after."""
        self.sheets: list[Sheet] = []
        self._select = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), "an attribute twice"
        self.tags.append((tag, dict(attrs)))
        self._note(tag, {name: value or "" for name, value in attrs})

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""

    def handle_data(self, data: str) -> None:
        self.pieces.append((self.tags[-1][0] if self.tags else "", data))

    def _note(self, tag: str, said: dict[str, str]) -> None:
        if tag == "form":
            self.sheets.append(Sheet(said.get("action", ""), said.get("method", "get")))
        elif tag == "select":
            self._select = said["name"]
        elif tag == "option" and self._select:
            sheet = self.sheets[-1]
            if "selected" in said or self._select not in dict(sheet.fields):
                sheet.fields = [one for one in sheet.fields if one[0] != self._select]
                sheet.fields.append((self._select, said.get("value", "")))
        elif tag == "input" and "name" in said:
            kind = said.get("type", "text")
            if kind == "checkbox" and "checked" not in said:
                return
            self.sheets[-1].fields.append((said["name"], said.get("value", "")))
            if kind not in ("checkbox", "hidden"):
                self.sheets[-1].written.append(said["name"])

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Every tag, with the names of its attributes."""
        return [(tag, tuple(said)) for tag, said in self.tags]

    @property
    def text(self) -> str:
        """All texts together."""
        return " ".join(" ".join(piece for _, piece in self.pieces).split())

    def values(self, attribute: str) -> list[str]:
        """What stands in this attribute, anywhere."""
        return [said[attribute] or "" for _, said in self.tags if attribute in said]

    @property
    def form_token(self) -> str:
        """What the forms of the page carry."""
        [token] = {dict(sheet.fields)["form_token"] for sheet in self.sheets if sheet.method == "post"}
        return token


class House:
    """A whole console over a control plane, and everybody's sessions."""

    def __init__(self, plane: ControlPlane, client: TestClient, routes: Sequence[Route]) -> None:
        self.plane = plane
        self.client = client
        self.routes = routes
        self.ids: dict[str, str] = {}
        """What the parameters of addresses stand for, by their names."""

    def session(self, user_id: str, user_agent: str = "", source: str = "192.0.2.7") -> str:
        """The cookie of a new session."""
        cookie, session_id = secrets.token_urlsafe(32), random_id()
        now = self.plane.clock.now
        with self.plane.database.write() as tx:
            sessions.add(tx, session_id, cookie_hash(cookie), user_id, source, user_agent, now)
        return cookie

    def session_id(self, cookie: str) -> str:
        """How the session of this cookie is named to people."""
        with self.plane.database.read() as tx:
            found = sessions.live(tx, cookie_hash(cookie), self.plane.clock.now)
        assert found is not None
        return found[0]

    def address(self, path: str) -> str:
        """The path of a route, with what `ids` has."""
        return re.sub(r"{(\w+)(?::path)?}", lambda found: self.ids[found[1]], path)

    def get(self, path: str, cookie: str = "", **headers: str) -> httpx2.Response:
        """Open a page. Redirects are not followed."""
        return self._ask("GET", path, cookie, b"", headers)

    def post(
        self,
        path: str,
        fields: Sequence[tuple[str, str]] | Mapping[str, str] | bytes,
        cookie: str = "",
        headers: Mapping[str, str] = SAME_ORIGIN,
    ) -> httpx2.Response:
        """Send a form, or any body, as one."""
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        return self._ask("POST", path, cookie, body, {"Content-Type": FORM, **headers})

    def _ask(
        self, method: str, path: str, cookie: str, body: bytes, headers: Mapping[str, str]
    ) -> httpx2.Response:
        carried = {"Cookie": f"{HOST_COOKIE}={cookie}"} if cookie else {}
        response = self.client.request(
            method, path, content=body, headers={**headers, **carried}, follow_redirects=False
        )
        self.client.cookies.clear()  # each request says itself whose it is
        assert isinstance(response, httpx2.Response)
        return response

    def token(self, cookie: str) -> str:
        """The token of this session's forms, off its account page."""
        page = self.get(self.address("/console/{locator}/{region}/account"), cookie)
        return Reading(page.text).form_token

    def everything(self) -> dict[str, Any]:
        """All that is stored, and what relays were told: whether anything changed."""
        with self.plane.database.read() as tx:
            stored: dict[str, Any] = {
                table.name: sorted(map(repr, tx.execute(select(table)))) for table in metadata.sorted_tables
            }
        return {**stored, "told": list(self.plane.relays.told), "live": list(self.plane.relays.live)}


@contextmanager
def built(
    folder: Path, *, failures: int = 10**6, clock: Callable[[], float] = time.monotonic
) -> Iterator[House]:
    """A house over a database of its own; by default nobody asks too often. Passwords hash quickly there."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    database = open_database(f"sqlite:///{folder}/aditus.db")
    plane = ControlPlane(database)
    plane.clock.now = time.time()  # by which pages say how long ago something was
    limits = Limits(failures=failures, requests=10**6, clock=clock)
    routes = site.routes(plane.services, limits, b"-----BEGIN CERTIFICATE-----\n", {REGION})
    app = create_app(plane.services, limits=limits, pages=routes)
    with pytest.MonkeyPatch.context() as patch, TestClient(app, base_url=ORIGIN) as client:
        patch.setattr(passwords, "_hasher", lambda: quick)
        with database.write() as tx:
            members.set_password(tx, "owner", passwords.hash_password(PASSWORD))
        house = House(plane, client, [route for route in routes if isinstance(route, Route)])
        assert len(house.routes) == len(routes)
        house.ids |= {"locator": plane.subscription.locator, "region": "local", "rest": "no/such/page"}
        house.ids["name"] = "console.css"
        house.get("/console")  # so that the thread that answers is there before a test looks for new ones
        yield house
    database.close()
