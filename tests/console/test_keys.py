"""Access keys in the browser, from Generate to the cut, as whoever never opens a terminal meets them."""

import re
import signal
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

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
    page.get_by_role("link", name="Close without it").click()
    expect(desk.dialog).to_have_count(0)
    expect(desk.row("careless")).to_be_visible()


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


def test_many_are_revoked_with_a_word_that_is_typed(desk: Desk) -> None:
    for name in ("one", "two", "three"):
        desk.server.generate(f"many-{name}")
    page = desk.open(f"{KEYS}?q=many-")
    expect(page.get_by_role("button", name="Revoke", exact=True)).to_be_disabled()
    page.get_by_label("Tick all on this page").check()
    expect(page.get_by_text("3 ticked")).to_be_visible()
    page.get_by_label("Tick many-two").uncheck()
    page.get_by_role("button", name="Revoke", exact=True).click()
    typed = page.get_by_label("Type revoke 2 to confirm")
    expect(typed).to_be_focused()
    typed.fill("revoke 3")
    desk.dialog.get_by_role("button", name="Revoke", exact=True).click()
    expect(page.get_by_text("so nothing was revoked")).to_be_visible()
    typed.fill("Revoke 2")
    typed.press("Enter")
    expect(desk.dialog.get_by_role("heading", name="2 access keys revoked")).to_be_visible()
    page.keyboard.press("Escape")
    expect(desk.row("many-two")).to_be_visible()
    expect(desk.row("many-one")).to_have_count(0)


def test_suspend_resume_rotate_and_edit_from_the_row(desk: Desk) -> None:
    key = desk.server.generate("changing")
    page = desk.open(KEYS)
    with Service() as service, desk.server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        desk.act("changing", "Suspend")
        expect(desk.dialog).to_contain_text("1 tunnel with 0 live connections is cut at once")
        desk.dialog.get_by_role("button", name="Suspend").click()
        expect(desk.dialog).to_contain_text("1 tunnel and 0 connections were cut")
        desk.dialog.get_by_role("link", name="Close").click()
        expect(desk.row("changing")).to_contain_text("Suspended")
        agent.err.wait("suspended")
        assert agent.is_running  # it waits for the resume
        desk.act("changing", "Resume")
        desk.dialog.get_by_role("button", name="Resume").click()
        desk.notice("active again")
        expect(desk.row("changing")).to_contain_text("Active")
        assert agent.end(signal.SIGTERM) == 0

    desk.act("changing", "Edit")
    page.get_by_label("Last day").fill("2001-01-01")
    desk.dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("lies in the past")).to_be_visible()
    page.get_by_label("Last day").fill("2090-12-31")
    page.get_by_label("Description").fill("Edited")
    page.get_by_text("Rules for ports and addresses").click()
    page.get_by_label("Ports that agents may offer").fill("5432, 99999")
    desk.dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("no whole number from 1 to 65535")).to_be_visible()
    page.get_by_label("Ports that agents may offer").fill("5432, 6379")
    page.get_by_label("Networks that agents may dial from").fill("10.0.0.0/8")
    desk.dialog.get_by_role("button", name="Save").click()
    desk.notice("The access key is changed")
    page.get_by_role("link", name="changing", exact=True).click()
    expect(page.get_by_text("5432, 6379")).to_be_visible()
    expect(page.get_by_text("10.0.0.0/8")).to_be_visible()
    expires = page.locator(".facts > div", has_text="Expires").get_by_role("time")
    expect(expires).to_have_attribute("title", "2091-01-01 00:00:00 UTC")

    page.get_by_role("link", name="Rotate").click()
    desk.dialog.get_by_role("button", name="Rotate").click()
    second = page.locator("#secret").inner_text()
    assert parse_access_key(second).key_id == parse_access_key(key.secret.reveal()).key_id
    assert second != key.secret.reveal()
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Two secrets are live")).to_be_visible()


def test_somebody_elses_change_is_not_overwritten(desk: Desk) -> None:
    desk.server.generate("two-people")
    page = desk.open(KEYS)
    desk.act("two-people", "Edit")
    page.get_by_label("Description").fill("mine")
    with desk.server.client() as client:
        client.update_key("two-people", {"description": "theirs"})
    desk.dialog.get_by_role("button", name="Save").click()
    expect(desk.dialog.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Description")).to_have_value("mine")  # nothing that was typed is lost
    with desk.server.client() as client:
        assert client.show_key("two-people").description == "theirs"


def test_the_table_is_searched_and_sorted(desk: Desk) -> None:
    for name in ("sorted-b", "sorted-a", "sorted-c"):
        desk.server.generate(name)
    page = desk.open(KEYS)
    page.get_by_label("Search").fill("SORTED-")
    page.get_by_label("Search").press("Enter")
    names = page.locator("tbody th a")
    expect(names).to_have_text(["sorted-c", "sorted-a", "sorted-b"])  # the newest first
    page.get_by_role("link", name="Access key ID").click()
    expect(names).to_have_text(["sorted-a", "sorted-b", "sorted-c"])
    expect(page.locator("th[aria-sort=ascending]")).to_have_text(re.compile("Access key ID"))
    page.get_by_role("link", name="Access key ID").click()
    expect(names).to_have_text(["sorted-c", "sorted-b", "sorted-a"])
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Search").fill("no such key")
    page.get_by_label("Search").press("Enter")
    expect(page.get_by_text("None matches this filter")).to_be_visible()


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
