"""Access keys in the browser, from Generate to the cut, as whoever never opens a terminal meets them."""

import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Error, expect

from aditus.config.profiles import find_profile
from aditus.config.surroundings import Surroundings
from aditus.domain.keytext import SecretText, parse_access_key
from tests.console.browsers import Desk
from tests.process.programs import Key, Service, is_reset

pytestmark = pytest.mark.needs("chromium")

KEYS = "access-keys"


def generate(desk: Desk, access_key_id: str) -> Key:
    """Generate a key in the dialog and copy its secret; the dialog is closed."""
    page = desk.open(KEYS)
    page.get_by_role("link", name="Generate").first.click()
    page.get_by_label("Access key ID").fill(access_key_id)
    page.get_by_role("button", name="Generate", exact=True).click()
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    secret = SecretText(page.evaluate("navigator.clipboard.readText()"))
    url = re.search(r"wss://\S+", page.locator("#command-connect").inner_text())
    assert url is not None
    with page.expect_navigation():
        desk.dialog.get_by_role("link", name="Close").click()
    expect(desk.row(access_key_id)).to_be_visible()
    return Key(access_key_id, url.group(), secret)


def test_from_generate_to_the_cut(desk: Desk) -> None:
    page = desk.open(KEYS)
    page.get_by_role("link", name="Generate access key").first.click()
    expect(desk.dialog.get_by_role("heading", name="Generate access")).to_be_visible()
    assert desk.focused() == "access_key_id"
    page.keyboard.type("x" * 51)
    expect(page.get_by_text("51/50")).to_be_visible()
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("at most 50 characters")).to_be_visible()
    assert desk.focused() == "access_key_id"  # where the error is
    page.keyboard.press("Control+A")
    page.keyboard.type("plant-graz")
    expect(page.get_by_text("10/50")).to_be_visible()
    expect(page.get_by_label("Capability")).to_have_value("integration")  # the first one is chosen
    page.get_by_label("Expires").select_option("day")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.get_by_text("No day is given")).to_be_visible()  # and no key that lives for ever
    page.get_by_label("Expires").select_option("90")
    page.get_by_label("Description").fill("The warehouse in Graz")
    page.get_by_role("button", name="Generate", exact=True).click()

    expect(page.get_by_text("This is the only time you can see it")).to_be_visible()
    copy = page.get_by_role("button", name="Copy").first
    expect(copy).to_be_focused()
    copy.click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
    secret = page.evaluate("navigator.clipboard.readText()")
    assert secret == page.locator("#secret").inner_text()
    command = page.locator("#command-connect").inner_text()
    desk.dialog.get_by_role("link", name="Close").click()
    expect(desk.row("plant-graz")).to_contain_text("The warehouse in Graz")

    tunnels = desk.another()
    tunnels.goto(f"{desk.place}/tunnels")
    expect(tunnels.get_by_text("No tunnel is live")).to_be_visible()
    expect(tunnels.get_by_role("status").filter(has_text="Live")).to_be_visible()
    key = Key("plant-graz", command.split()[-1], SecretText(secret))
    with Service() as service, desk.server.agent(key, service.spec) as agent:
        row = tunnels.get_by_role("row").filter(has_text="plant-graz")
        expect(row).to_contain_text(str(service.app_port))
        app, _at_home = service.conversation()
        expect(row.locator("[data-streams]")).to_have_text("1")
        expect(row.locator("[data-rtt]")).to_contain_text("ms")
        expect(row.locator(".spark polyline")).to_be_attached()

        page.reload()
        expect(desk.row("plant-graz").get_by_role("cell").nth(-2)).to_have_text("1")
        page.get_by_label("Tick plant-graz").check()
        page.get_by_role("button", name="Revoke", exact=True).click()
        expect(desk.dialog.get_by_role("heading", name="Revoke plant-graz?")).to_be_visible()
        blast = desk.dialog.locator(".blast")
        assert re.sub(r"\s+", " ", blast.inner_text()) == "Apps 0 Agents 1 Live connections 1"
        desk.dialog.get_by_role("button", name="Revoke", exact=True).click()
        receipt = desk.row("plant-graz").filter(has_text="revoked")
        expect(receipt).to_contain_text("ms")
        assert is_reset(app)
        assert agent.end() == 3
        expect(tunnels.get_by_text("No tunnel is live")).to_be_visible()
    with page.expect_navigation():
        desk.dialog.get_by_role("link", name="Close").click()
    expect(desk.row("plant-graz")).to_have_count(0)
    page.get_by_label("State").select_option("revoked")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("link", name="plant-graz").click()
    expect(page.get_by_text("deleted with the revoke")).to_be_visible()
    expect(page.get_by_text("revoked access key")).to_be_visible()
    expect(page.locator("section", has_text="Recent streams").last).to_contain_text("revoked")


def test_the_secret_is_shown_once(desk: Desk) -> None:
    secret = generate(desk, "shown-once").secret.reveal()
    page = desk.page
    assert secret not in page.content()
    for go in (page.reload, page.go_back, page.go_forward):
        go()
        assert secret not in page.content()
        assert secret not in page.url


def test_without_scripts_the_secret_is_shown_once_too(desk: Desk) -> None:
    page = desk.open(KEYS, "generate")
    page.get_by_label("Access key ID").fill("page-of-its-own")
    page.evaluate("document.querySelector('main form').submit()")  # no script hears of it
    secret = page.locator("#secret").inner_text()
    parse_access_key(secret)
    desk.open()
    with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser has kept nothing of that page
        page.go_back()


def test_closing_asks_when_nothing_was_copied(desk: Desk) -> None:
    page = desk.open(KEYS)
    page.get_by_role("link", name="Generate access key").first.click()
    page.get_by_label("Access key ID").fill("careless")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#secret")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("You have not copied the secret.")).to_be_visible()
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#secret")).to_be_visible()
    desk.dialog.get_by_role("link", name="Close", exact=True).click()
    with page.expect_navigation():
        page.get_by_role("link", name="Close without it").click()
    expect(desk.dialog).to_have_count(0)
    expect(desk.row("careless")).to_be_visible()


def test_leaving_the_page_asks_too_whatever_was_closed_before(desk: Desk) -> None:
    page = desk.open(KEYS)
    page.get_by_role("link", name="Generate access key").first.click()
    expect(desk.dialog).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Generate access key").first.click()
    page.get_by_label("Access key ID").fill("half-read")
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#secret")).to_be_visible()
    asked: list[str] = []

    def leave(question: Dialog) -> None:
        asked.append(question.type)
        question.accept()

    page.on("dialog", leave)
    page.reload()
    expect(desk.row("half-read")).to_be_visible()
    assert asked == ["beforeunload"]


def test_the_profile_file_is_one(desk: Desk, tmp_path: Path) -> None:
    page = desk.open(KEYS)
    page.get_by_role("link", name="Generate access key").first.click()
    page.get_by_label("Access key ID").fill("profile")
    page.get_by_role("button", name="Generate", exact=True).click()
    secret = page.locator("#secret").inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download profile file").click()
    assert downloading.value.suggested_filename == "credentials"
    downloading.value.save_as(tmp_path / "credentials")
    (tmp_path / "credentials").chmod(0o600)
    profile = find_profile("default", tmp_path, Surroundings({}, tmp_path, sys.stdin))
    assert profile is not None
    assert profile.access_key is not None
    assert profile.access_key.reveal() == secret
    assert profile.relay == f"wss://localhost:{desk.server.relay_port}"
    desk.dialog.get_by_role("link", name="Close", exact=True).click()  # it is kept, so nothing is asked
    expect(desk.row("profile")).to_be_visible()


def test_everything_about_a_key_by_keyboard(desk: Desk) -> None:
    page = desk.open(KEYS)

    def press(key: str, until: str) -> None:
        for _ in range(40):
            if desk.focused() == until:
                return
            page.keyboard.press(key)
        raise AssertionError(f"{until} cannot be reached")

    press("Tab", "Generate access key")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Access key ID")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Generate access key")).to_be_focused()  # back where it was
    page.keyboard.press("Enter")
    expect(page.get_by_label("Access key ID")).to_be_focused()
    page.keyboard.type("by-keyboard")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copy").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    page.keyboard.press("Escape")
    expect(desk.row("by-keyboard")).to_be_visible()
    page.get_by_role("button", name="Actions for by-keyboard").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Details")).to_be_focused()
    page.keyboard.press("ArrowUp")
    assert desk.focused() == "Revoke"
    page.keyboard.press("Enter")
    expect(desk.dialog.get_by_role("link", name="Cancel")).to_be_focused()  # never the dangerous one
    for _ in range(10):  # the focus stays in the dialog
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.matches('body, dialog *')")
    desk.dialog.get_by_role("button", name="Revoke", exact=True).focus()
    page.keyboard.press("Enter")
    expect(desk.dialog.get_by_role("heading", name="by-keyboard is revoked")).to_be_visible()
