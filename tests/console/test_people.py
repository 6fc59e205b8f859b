"""Members, sessions, API tokens, the audit and apps in the browser."""

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from aditus.client.rest import Client
from tests.console.browsers import Desk, sat_down
from tests.process.programs import CAPABILITY, Server, Service, until

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture
def desk(server: Server, chromium: Browser) -> Iterator[Desk]:
    """The owner, with a session of this test's own, as some end all others."""
    with sat_down(server, chromium) as desk:
        yield desk.sign_in()


def test_somebody_is_invited_comes_in_and_is_given_a_subscription(
    desk: Desk, server: Server, chromium: Browser
) -> None:
    page = desk.open("members")
    page.get_by_role("link", name="Invite").click()
    page.get_by_label("Email").fill("no address")
    desk.dialog.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("This is no email address")).to_be_visible()
    page.get_by_label("Email").fill("Maria@Example.com")
    desk.dialog.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("This is the only time you can see it")).to_be_visible()
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    desk.dialog.get_by_role("link", name="Close").click()
    expect(desk.row("maria@example.com")).to_contain_text("Member")

    with sat_down(server, chromium) as maria:
        maria.page.goto(link)
        assert link.partition("#")[2] not in maria.page.url  # no way back and no log has it
        maria.page.get_by_label("Password", exact=True).fill("a password of hers")
        maria.page.get_by_label("Password, again").fill("another one altogether")
        maria.page.get_by_role("button", name="Become a member").click()
        expect(maria.page.get_by_text("not the same")).to_be_visible()
        maria.page.get_by_label("Password", exact=True).fill("a password of hers")
        maria.page.get_by_label("Password, again").fill("a password of hers")
        maria.page.get_by_role("button", name="Become a member").click()
        maria.notice("You are a member now")
        maria.sign_in("maria@example.com", "a password of hers")
        maria.open("access-keys")
        expect(maria.page.get_by_role("heading", name="Proxy Agent access keys")).to_be_visible()
        expect(maria.page.get_by_role("link", name="Generate access key")).to_have_count(0)

        page.reload()
        desk.act("maria@example.com", "Change roles")
        desk.dialog.get_by_label("default").check()
        desk.dialog.get_by_role("button", name="Save").click()
        desk.notice("The member is changed")
        maria.page.reload()
        expect(maria.page.get_by_role("link", name="Generate access key").first).to_be_visible()

        desk.act("maria@example.com", "Remove")
        desk.dialog.get_by_role("button", name="Remove").click()
        desk.notice("The member is removed")
        maria.page.reload()
        expect(maria.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_last_owner_stays(desk: Desk) -> None:
    desk.open("members")
    desk.act("owner@localhost", "Remove")
    desk.dialog.get_by_role("button", name="Remove").click()
    expect(desk.dialog.get_by_role("alert")).to_contain_text("only owner")


def test_an_invitation_is_taken_back(desk: Desk) -> None:
    page = desk.open("members", "invite")
    page.get_by_label("Email").fill("late@example.com")
    page.get_by_label("Role").select_option("team_admin")
    expect(page.get_by_label("Subscription")).to_have_value(desk.place.split("/")[-2])
    page.get_by_role("button", name="Invite").click()
    desk.open("members")
    page.get_by_role("link", name="Take back the invitation of late@example.com").click()
    desk.dialog.get_by_role("button", name="Take back").click()
    desk.notice("The invitation is taken back")
    expect(desk.row("late@example.com")).to_have_count(0)


def test_another_session_is_ended(desk: Desk, server: Server, chromium: Browser) -> None:
    with sat_down(server, chromium, user_agent="Another browser") as other:
        other.sign_in()
        page = desk.open("account")
        desk.row("Another browser").get_by_role("link", name="End").click()
        desk.dialog.get_by_role("button", name="End session").click()
        desk.notice("The session is ended")
        expect(desk.row("Another browser")).to_have_count(0)
        expect(page.get_by_text("this one")).to_be_visible()
        other.page.reload()
        expect(other.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_password_is_changed_and_ends_other_sessions(desk: Desk, server: Server, chromium: Browser) -> None:
    with sat_down(server, chromium) as other:
        other.sign_in()
        page = desk.open("account")

        def change(current: str, new: str) -> None:
            page.get_by_role("link", name="Change password").click()
            page.get_by_label("Current password").fill(current)
            page.get_by_label("New password", exact=True).fill(new)
            page.get_by_label("New password, again").fill(new)
            desk.dialog.get_by_role("button", name="Change password").click()

        change("wrong", "a new and long one")
        expect(page.get_by_text("The current password is another one")).to_be_visible()
        page.keyboard.press("Escape")
        change("correct horse battery", "a new and long one")
        desk.notice("Your password is changed")
        other.page.reload()
        expect(other.page.get_by_role("heading", name="Sign in")).to_be_visible()
        with page.expect_navigation():
            change("a new and long one", "correct horse battery")
        desk.notice("Your password is changed")


def test_an_api_token_is_made_used_and_revoked(desk: Desk, server: Server) -> None:
    page = desk.open("tokens")
    page.get_by_role("link", name="Create API token").click()
    page.get_by_label("Name").fill("deploy script")
    page.get_by_label("Role").select_option("member")
    desk.dialog.get_by_role("button", name="Create").click()
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    with Client(server.api_url, page.evaluate("navigator.clipboard.readText()")) as client:
        assert client.userinfo().role == "member"
        desk.dialog.get_by_role("link", name="Close").click()
        expect(desk.row("deploy script")).to_contain_text("Member")
        page.get_by_role("link", name="Revoke deploy script").click()
        desk.dialog.get_by_role("button", name="Revoke").click()
        desk.notice("The API token is revoked")
        with pytest.raises(Exception, match="no API token that is valid"):
            client.userinfo()


def test_the_audit_is_searched_verified_and_exported(desk: Desk, server: Server) -> None:
    with server.client() as client:
        client.create_app("audited", CAPABILITY)
        client.delete_app("audited")
    page = desk.open("audit")
    expect(page.get_by_text(re.compile(r"Chain verified: \d+ entries"))).to_be_visible()
    page.get_by_label("Search").fill("app.DELETE")
    page.get_by_role("button", name="Search").click()
    entries = page.locator(".trail li")
    expect(entries.filter(has_text="deleted app audited")).to_have_count(1)
    expect(entries.filter(has_text="created app")).to_have_count(0)
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Export as JSON lines").click()
    lines = downloading.value.path().read_text().splitlines()
    assert {"app.create", "app.delete"} <= {json.loads(line)["action"] for line in lines}


def test_an_app_from_its_creation_to_its_end(desk: Desk, server: Server) -> None:
    key, second = server.generate("apps-first"), server.generate("apps-second")
    page = desk.open("apps")
    page.get_by_role("link", name="Create").first.click()
    page.get_by_label("Name").fill("billing")
    desk.dialog.get_by_role("button", name="Create").click()
    desk.notice("The app is created")
    expect(desk.row("billing")).to_contain_text("none")
    desk.act("billing", "Associate")
    page.get_by_label("Access key").select_option(label="apps-first (local)")
    desk.dialog.get_by_role("button", name="Associate").click()
    desk.notice("The app is associated")
    with Service() as service, server.agent(key, service.spec):
        until(lambda: server.attached() == ["apps-first"], "the agent is attached")
        page.reload()
        expect(desk.row("billing")).to_contain_text(str(service.app_port))
        server.revoke(key)
    page.reload()
    expect(desk.row("billing")).to_contain_text("Revoked")
    desk.row("billing").get_by_role("link", name="Remove association").click()
    desk.dialog.get_by_role("button", name="Remove association").click()
    desk.notice("The association is removed")
    desk.act("billing", "Associate")
    expect(page.get_by_label("Access key").get_by_role("option", name="apps-first")).to_have_count(0)
    page.get_by_label("Access key").select_option(label=f"{second.access_key_id} (local)")
    desk.dialog.get_by_role("button", name="Associate").click()
    desk.notice("The app is associated")
    desk.act("billing", "Rename")
    page.get_by_role("textbox", name="Name").fill("invoices")
    desk.dialog.get_by_role("button", name="Rename").click()
    desk.notice("The app is renamed")
    desk.act("invoices", "Delete")
    desk.dialog.get_by_role("button", name="Delete").click()
    desk.notice("The app is deleted")
    expect(desk.row("invoices")).to_have_count(0)


def test_a_tunnel_is_cut_and_its_agent_comes_back(desk: Desk, server: Server) -> None:
    key = server.generate("cut-and-back")
    page = desk.open("tunnels")
    with Service() as service, server.agent(key, service.spec) as agent:
        expect(desk.row("cut-and-back")).to_be_visible()
        page.get_by_role("link", name="Cut the tunnel of").click()
        desk.dialog.get_by_role("button", name="Cut").click()
        desk.notice("The tunnel is cut")
        until(lambda: agent.err.text.count("attached") > 1, "the agent is attached again")
        expect(desk.row("cut-and-back")).to_be_visible()


def test_what_happens_between_a_page_and_its_events_is_shown(desk: Desk, server: Server) -> None:
    key = server.generate("in-between")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    desk.page.route("**/events?*", hold)
    with desk.page.expect_request("**/events?*"):
        desk.open("tunnels")
    with Service() as service, server.agent(key, service.spec) as agent:
        until(lambda: "attached" in agent.err.text, "the agent is attached")
        expect(desk.row("in-between")).to_have_count(0)
        held[0].continue_()
        expect(desk.row("in-between")).to_be_visible()


def test_what_fails_while_the_server_is_away_is_told(desk: Desk) -> None:
    page = desk.open("access-keys", "")
    page.get_by_role("link", name="Generate access key").first.click()
    page.get_by_label("Access key ID").fill("never")
    desk.context.set_offline(True)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(desk.dialog.get_by_role("alert")).to_contain_text("it is not known whether anything changed")
    expect(page.get_by_label("Access key ID")).to_have_value("never")  # nothing that was typed is lost
    desk.context.set_offline(False)
    page.get_by_role("button", name="Generate", exact=True).click()
    expect(page.locator("#secret")).to_be_visible()
    desk.complaints.clear()  # Chromium's own words about the network
