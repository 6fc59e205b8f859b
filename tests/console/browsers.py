"""The console in a real Chromium: a signed-in page, what it complains of, and whether all can use it."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from aditus.control.http.cookie import PLAIN_COOKIE
from aditus.crypto.passwords import hash_password
from aditus.store import members
from aditus.store.database import open_database
from tests.process.programs import Server

OWNER, PASSWORD = "owner@localhost", "correct horse battery"
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
WIDTH, HEIGHT = 1280, 900
PATIENCE_MILLISECONDS = 20_000

REFUSED = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""What Chromium says of every answer 4xx, which are how the server says what is wrong with a form."""


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in of the owner's, and the address of the overview."""

    cookie: str
    place: str


def signed_in(server: Server) -> Session:
    """Sign in by the API, without a page."""
    with httpx2.Client(base_url=server.api_url, verify=False) as client:  # plain HTTP
        answer = client.post("/v1/sign-in", json={"email": OWNER, "password": PASSWORD})
        locator = answer.json()["subscriptions"][0]["locator"]
        cookie = answer.cookies[PLAIN_COOKIE]
    return Session(cookie, f"{server.api_url}/console/{locator}/local")


@dataclass
class Desk:
    """Somebody in front of a browser. All that the browser complains of is kept, and fails the test."""

    server: Server
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    place: str = ""
    """The address of the overview, once signed in; those of all other pages go on from it."""

    def watch(self, page: Page) -> Page:
        """Note what this page complains of too."""
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda said: (
                self.complaints.append(f"{page.url}: {said.text}")
                if said.type in ("error", "warning") and not REFUSED.match(said.text)
                else None
            ),
        )
        return page

    def sign_in(self, email: str = OWNER, password: str = PASSWORD) -> "Desk":
        """Through the form, as people do."""
        self.page.goto(f"{self.server.api_url}/")
        self.page.get_by_label("Email").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Account menu")).to_be_visible()
        self.place = self.page.url
        return self

    def come_in(self, session: "Session") -> "Desk":
        """As somebody who has signed in before."""
        url = self.server.api_url
        self.context.add_cookies([{"name": PLAIN_COOKIE, "value": session.cookie, "url": url}])
        self.place = session.place
        return self

    def open(self, *parts: str) -> Page:
        """A page of the console."""
        self.page.goto("/".join([self.place, *parts]).rstrip("/"))
        return self.page

    def another(self) -> Page:
        """One more page of the same browser."""
        return self.watch(self.context.new_page())

    @property
    def dialog(self) -> Locator:
        """The dialog that is open."""
        return self.page.get_by_role("dialog")

    def row(self, text: str) -> Locator:
        """The row of a table that has this text."""
        return self.page.get_by_role("row").filter(has_text=text)

    def act(self, name: str, action: str) -> None:
        """Choose an action from the menu of what is called so."""
        self.page.get_by_role("button", name=f"Actions for {name}", exact=True).click()
        self.page.get_by_role("link", name=action, exact=True).click()

    def notice(self, text: str) -> None:
        """Wait until the page tells this."""
        expect(self.page.get_by_role("status").filter(has_text=text)).to_be_visible()

    def focused(self) -> str:
        """What has the focus: its text, else its id or name."""
        found: str = self.page.evaluate(
            "(({activeElement: e}) => e.textContent.trim() || e.id || e.name || e.tagName)(document)"
        )
        return found

    def barriers(self, page: Page | None = None) -> list[str]:
        """What axe-core finds that keeps somebody from using the page."""
        page = page or self.page
        # The page's own policy lets nothing in but the server's scripts; the debugger may.
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        wide: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide


def give_password(data: Path) -> None:
    """Let the owner of a data folder sign in with `PASSWORD`."""
    database = open_database(f"sqlite:///{data / 'aditus.db'}")
    try:
        with database.write() as tx:
            owner = members.by_email(tx, OWNER)
            assert owner is not None
            members.set_password(tx, owner.user_id, hash_password(PASSWORD))
    finally:
        database.close()


@contextmanager
def sat_down(server: Server, chromium: Browser, **options: object) -> Iterator[Desk]:
    """A browser of one's own, at this server. At its end it must have complained of nothing."""
    settings = {"viewport": {"width": WIDTH, "height": HEIGHT}, "accept_downloads": True, **options}
    context = chromium.new_context(**settings)  # type: ignore[arg-type]  # as they are in its documentation
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.api_url)
    desk = Desk(server, context, context.new_page())
    desk.watch(desk.page)
    try:
        yield desk
        for page in context.pages:  # a page that is just being read anew is not closed cleanly
            page.wait_for_load_state()
    finally:
        context.close()
    assert not desk.complaints, desk.complaints


def chromium_path() -> str:
    """Where the installed Chromium is."""
    found = shutil.which("chromium")
    assert found is not None
    return found
