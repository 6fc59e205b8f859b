"""Keys that are there already, in the browser: searched, revoked together, suspended, rotated, edited."""

import re
import signal

import pytest
from playwright.sync_api import expect

from aditus.domain.keytext import parse_access_key
from tests.console.browsers import Desk
from tests.process.programs import Service

pytestmark = pytest.mark.needs("chromium")

KEYS = "access-keys"


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
    expect(expires).to_have_attribute("title", re.compile(r"2091-01-01 00:00:00 UTC"))

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
        client.update_key("two-people", {"allowed_ports": [5432]})
    desk.dialog.get_by_role("button", name="Save").click()
    expect(desk.dialog.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Ports that agents may offer")).to_have_value("5432")  # theirs, to be seen
    desk.dialog.get_by_role("button", name="Save").click()
    desk.notice("The access key is changed")
    with desk.server.client() as client:
        key = client.show_key("two-people")
    assert (key.description, key.allowed_ports) == ("mine", (5432,))  # of each what each has changed


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
    expect(page.get_by_text("No access key matches")).to_be_visible()
