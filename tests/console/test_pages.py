"""Every page and every dialog: usable by all, light and dark, from a telephone to a wide screen.

`SCREENSHOTS=docs/images pytest tests/console/test_pages.py` renews the pictures of the docs.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from aditus.domain.model import Role
from demo.postgres import free_port
from demo.stage import aditus
from tests.console.browsers import Desk, Session, sat_down
from tests.process.programs import CAPABILITY, Key, Program, Server, Service, exactly, until

pytestmark = pytest.mark.needs("chromium")

PAGES = (
    "",
    "access-keys",
    "tunnels",
    "apps",
    "download",
    "audit",
    "members",
    "tokens",
    "account",
)
PICTURES = os.environ.get("SCREENSHOTS")
WIDTHS = (360, 768, 1280, 1920)


@pytest.fixture(scope="module")
def furnished(server: Server) -> Iterator[Server]:
    """A server where things have happened: keys in every state, apps, agents at work, people."""
    with ExitStack() as stack, server.client() as client:
        keys = {}
        for name, text in (
            ("plant-graz", "Warehouse database"),
            ("plant-linz", "Machine data, two agents"),
            ("erp-staging", ""),
            ("partner-logistics", "File exchange"),
            ("old-datacentre", "Moved to Graz"),
        ):
            keys[name] = Key.of(client.generate_key(name, CAPABILITY, description=text))
        client.update_key("partner-logistics", {"expires_at": client_time(5)})
        for name, key in (("billing", "plant-graz"), ("reporting", "plant-linz"), ("crm", "old-datacentre")):
            client.create_app(name, CAPABILITY)
            client.associate(name, key)
        client.create_app("intranet", CAPABILITY)
        client.revoke_credential("billing", client.create_credential("billing").credential.credential_id)
        secret = client.create_credential("billing").secret.reveal()
        client.suspend_key("erp-staging")
        client.revoke_keys(["old-datacentre"])
        client.create_token("nightly backup", role=Role.MEMBER)
        service = stack.enter_context(Service())
        taken = f"{service.app_port}:127.0.0.1:{service.port}"
        stack.enter_context(server.agent(keys["plant-graz"], taken, f"{free_port()}:127.0.0.1:9"))
        until(lambda: server.attached() == ["plant-graz"], "the first agent is attached")
        stack.enter_context(server.agent(keys["plant-linz"], taken, f"{free_port()}:127.0.0.1:9"))
        until(lambda: len(server.attached()) == 2, "the second agent is attached")
        stack.enter_context(sidecar(server, "billing", secret, f"{free_port()}:{service.app_port}"))
        until(lambda: client.list_sidecars("billing"), "the sidecar is attached")
        for size in (1_000, 50_000, 20_000):
            app, at_home = service.conversation()
            at_home.sendall(bytes(size))
            exactly(app, size)
            app.close()
            at_home.close()
        app, at_home = service.conversation()
        at_home.sendall(bytes(70_000))
        exactly(app, 70_000)
        yield server


def sidecar(server: Server, app: str, secret: str, port: str) -> Program:
    relay = ("--relay", f"wss://localhost:{server.relay_port}", "--ca-file", str(server.ca_file))
    words = ("--app", app, *relay, "--secret-file", "-", "-p", port, "--health-listen", "off")
    return Program(aditus("sidecar", *words), stdin=secret)


def client_time(days: int) -> str:
    """So many days from now, as the API reads it."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


@pytest.fixture
def desk(
    furnished: Server, chromium: Browser, session: Session, request: pytest.FixtureRequest
) -> Iterator[Desk]:
    """The owner, signed in; parametrized indirectly with the options of the browser."""
    with sat_down(furnished, chromium, **getattr(request, "param", {})) as desk:
        yield desk.come_in(session)


def key_page(desk: Desk, access_key_id: str) -> Page:
    desk.open("access-keys?state=&q=" + access_key_id)
    desk.page.get_by_role("link", name=access_key_id, exact=True).click()
    expect(desk.page.get_by_role("heading", level=1)).to_contain_text(access_key_id)
    return desk.page


def app_page(desk: Desk, name: str) -> Page:
    page = desk.open("apps")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    return page


def dialogs(desk: Desk) -> list[str]:
    """One address of each kind of dialog that any page leads to."""
    kinds: dict[str, str] = {}
    app = app_page(desk, "billing").url
    for page in (*(f"{desk.place}/{one}" for one in PAGES), f"{desk.place}/access-keys?state=revoked", app):
        desk.page.goto(page.rstrip("/"))
        hrefs = desk.page.eval_on_selector_all("a[data-dialog]", "links => links.map(one => one.href)")
        for href in hrefs:
            kinds.setdefault(re.sub(r"/[0-9A-Za-z]{12,}(?=/)|\?.*", "", href), href)
    return list(kinds.values())


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("desk", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_nothing_bars_anybody_from_any_page(desk: Desk, axe: None) -> None:
    found = {}
    for name in PAGES:
        desk.open(name)
        found[name] = desk.barriers()
    key_page(desk, "plant-graz")
    found["a key"] = desk.barriers()
    for name in ("billing", "reporting", "intranet"):
        app_page(desk, name)
        found[f"app {name}"] = desk.barriers()
    desk.page.get_by_role("button", name="Account menu").click()
    found["the account menu"] = desk.barriers()
    addresses = dialogs(desk)
    assert len(addresses) > 10
    for address in addresses:
        desk.page.goto(address)
        found[address] = desk.barriers()
    assert {name: barriers for name, barriers in found.items() if barriers} == {}


@pytest.mark.parametrize("desk", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_nothing_bars_anybody_from_the_dialogs_over_a_page(desk: Desk, axe: None) -> None:
    page = desk.open("access-keys")
    page.get_by_role("link", name="Generate access key").first.click()
    expect(desk.dialog).to_be_visible()
    assert desk.barriers() == []
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_label("Access key ID")).to_have_attribute("aria-invalid", "true")
    assert desk.barriers() == []
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.get_by_label("Access key ID").fill("looked-at-in-the-dark" if dark else "looked-at")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#secret")).to_be_visible()
    assert desk.barriers() == []
    page.keyboard.press("Escape")
    expect(page.get_by_text("You have not copied")).to_be_visible()
    assert desk.barriers() == []
    page.get_by_role("link", name="Close without it").click()
    expect(desk.dialog).to_have_count(0)
    page.get_by_label("Tick all on this page").check()
    page.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_label("to confirm")).to_be_visible()
    assert desk.barriers() == []


def test_signed_out_pages_bar_nobody(furnished: Server, chromium: Browser, axe: None) -> None:
    with sat_down(furnished, chromium) as desk:
        for path in ("/sign-in?notice=signed-out", "/invitation#text"):
            desk.page.goto(furnished.api_url + path)
            assert desk.barriers() == []
            assert desk.page.locator(":focus").count() == 1  # one types at once


def test_every_page_fits_every_window(desk: Desk) -> None:
    addresses = [f"{desk.place}/{name}".rstrip("/") for name in PAGES]
    addresses += [key_page(desk, "plant-graz").url, app_page(desk, "billing").url, *dialogs(desk)]
    found = {}
    for address in addresses:
        desk.page.goto(address)
        for width in WIDTHS:
            desk.page.set_viewport_size({"width": width, "height": 800})
            if desk.overflow() > 0:
                found[address, width] = desk.overflow()
    assert found == {}


def test_a_dialog_fits_a_telephone(desk: Desk) -> None:
    page = desk.open("access-keys")
    page.set_viewport_size({"width": 360, "height": 640})
    page.get_by_role("link", name="Generate access key").first.click()
    box = desk.dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    assert box["height"] <= 640


def test_the_account_menu_tells_and_leads(desk: Desk) -> None:
    desk.context.clear_cookies()  # this session is ended here, so it is one of its own
    page = desk.sign_in().open("apps")
    page.get_by_role("button", name="Account menu").click()
    menu = page.locator("#account-menu")
    expect(menu).to_contain_text("owner of default")
    expect(menu.get_by_role("link", name="default", exact=True)).to_have_attribute("aria-current", "true")
    menu.get_by_role("link", name="local", exact=True).click()
    expect(page.get_by_role("heading", name="Apps")).to_be_visible()  # the same page, of that region
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    desk.notice("You are signed out")
    page.goto(f"{desk.place}/apps")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Email").fill("owner@localhost")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("Password")).to_be_focused()
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Apps")).to_be_visible()  # where one wanted to go


def test_without_scripts_every_page_still_leads_on(furnished: Server, chromium: Browser) -> None:
    with sat_down(furnished, chromium, java_script_enabled=False) as desk:
        page = desk.sign_in().open("access-keys")
        page.get_by_role("link", name="Generate access key").first.click()
        page.get_by_label("Access key ID").fill("no-scripts")
        page.get_by_role("button", name="Generate", exact=True).click()
        expect(page.locator("#secret")).to_be_visible()
        page.get_by_role("link", name="Close", exact=True).click()
        page.get_by_label("Tick no-scripts").check()
        page.get_by_role("button", name="Revoke", exact=True).click()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(page.get_by_role("heading", name="no-scripts is revoked")).to_be_visible()


def test_the_pictures_of_the_docs(desk: Desk, tmp_path: Path) -> None:
    folder = Path(PICTURES) if PICTURES else tmp_path
    page = desk.page

    def picture(name: str) -> None:
        page.evaluate("document.activeElement.blur()")
        (folder / f"console-{name}.png").write_bytes(page.screenshot(animations="disabled"))

    page.set_viewport_size({"width": 1280, "height": 800})
    billing = app_page(desk, "billing").url.removeprefix(f"{desk.place}/")
    pages = {name: name for name in ("access-keys", "tunnels", "apps", "audit")}
    for name, path in {"overview": "", **pages, "app": billing}.items():
        desk.open(path)
        if name == "tunnels":
            expect(page.locator(".spark polyline").first).to_be_attached()
        if name == "audit":
            expect(page.get_by_text("Chain verified")).to_be_visible()
        picture(name)
    page = desk.open("access-keys")
    page.get_by_role("link", name="Generate access key").first.click()
    page.get_by_label("Access key ID").fill("plant-wels")
    page.get_by_label("Description").fill("Press shop")
    picture("generate")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#secret")).to_be_visible()
    page.locator("#secret").evaluate("one => { one.textContent = 'adt_local_' + 'x'.repeat(63) }")
    picture("secret")
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_label("Tick plant-graz").check()
    page.get_by_label("Tick plant-wels").check()
    page.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_label("to confirm").fill("revoke 2")
    picture("revoke")
    desk.dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(desk.dialog.get_by_role("heading", name="2 access keys revoked")).to_be_visible()
    picture("receipt")
