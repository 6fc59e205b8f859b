"""Credentials of an app in the browser, from the first one to the one that takes its place."""

import re
import shlex
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, expect

from aditus.domain.keytext import parse_app_secret
from demo.postgres import free_port
from demo.stage import aditus
from tests.console.browsers import Desk, sat_down
from tests.process.programs import CAPABILITY, Program, Server, Service, until

pytestmark = pytest.mark.needs("chromium")


def app_page(desk: Desk, name: str) -> None:
    """Make an app and open its page, as people find it."""
    with desk.server.client() as client:
        client.create_app(name, CAPABILITY)
    page = desk.open("apps")
    page.get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def create(desk: Desk) -> str:
    """Create a credential in the dialog, copy its secret and close the dialog; returns the secret."""
    page = desk.page
    page.get_by_role("link", name="Create credential").click()
    expect(desk.dialog.get_by_role("button", name="Create")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is the only time you can see it")).to_be_visible()
    page.get_by_role("button", name="Copy").first.click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    secret: str = page.evaluate("navigator.clipboard.readText()")
    assert secret == page.locator("#secret").inner_text()
    with page.expect_navigation():
        desk.dialog.get_by_role("link", name="Close").click()
    expect(desk.row(parse_app_secret(secret).key_id)).to_contain_text("Active")
    return secret


def test_one_credential_takes_the_place_of_another(desk: Desk) -> None:
    app_page(desk, "rotating")
    page = desk.page
    first, second = create(desk), create(desk)
    page.get_by_role("link", name="Create credential").click()
    expect(desk.dialog.get_by_role("heading", name="Both places")).to_be_visible()
    page.keyboard.press("Escape")
    old = parse_app_secret(first).key_id
    page.get_by_role("link", name=f"Revoke credential {old}").click()
    expect(desk.dialog.get_by_role("link", name="Cancel")).to_be_focused()  # never the dangerous one
    expect(desk.dialog).to_contain_text("No sidecar uses it now")
    desk.dialog.get_by_role("button", name="Revoke").click()
    desk.notice("The credential is revoked")
    expect(desk.row(old)).to_contain_text("Revoked")
    expect(desk.row(parse_app_secret(second).key_id)).to_contain_text("Active")
    expect(page.get_by_text("revoked a credential of app")).to_be_visible()
    create(desk)


def test_from_the_copied_command_to_the_cut_sidecar(desk: Desk, tmp_path: Path) -> None:
    key = desk.server.generate("behind-the-app")
    app_page(desk, "the app's own")
    with desk.server.client() as client:
        client.associate("the app's own", key.access_key_id)
    page = desk.page
    page.get_by_role("link", name="Create credential").click()
    desk.dialog.get_by_role("button", name="Create").click()
    secret = page.locator("#secret").inner_text()
    (tmp_path / "app-secret").write_text(secret)
    (tmp_path / "app-secret").chmod(0o600)
    desk.dialog.get_by_role("button", name="Copy sidecar command").click()
    expect(desk.dialog.get_by_role("button", name="Copied")).to_be_visible()
    command = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    places = {"app-secret": str(tmp_path / "app-secret"), "ca.pem": str(desk.server.ca_file)}
    words = [places.get(word, word) for word in command[1:]]  # beside whoever types it
    desk.dialog.get_by_role("button", name="Copy", exact=True).click()
    desk.dialog.get_by_role("link", name="Close", exact=True).click()
    with Service() as service, desk.server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        local = free_port()  # the relay of this machine has the app port
        words += ["-p", f"{local}:{service.app_port}", "--health-listen", "off"]
        with Program(aditus(*words)) as sidecar:
            until(lambda: _attached(desk, "the app's own"), "the sidecar is attached")
            page.reload()
            credential = parse_app_secret(secret).key_id
            row = page.get_by_role("row").filter(has_text=str(service.app_port)).filter(has_text=credential)
            expect(row).to_be_visible()
            page.get_by_role("link", name=f"Revoke credential {credential}").click()
            expect(desk.dialog.locator(".blast > div").first).to_have_text(re.compile(r"Sidecars\s*1"))
            desk.dialog.get_by_role("button", name="Revoke").click()
            desk.notice("The credential is revoked")
            assert sidecar.end() == 3
            expect(page.get_by_text("No sidecar of this app is attached now")).to_be_visible()


def _attached(desk: Desk, app: str) -> bool:
    with desk.server.client() as client:
        return any(sidecar.ports for sidecar in client.list_sidecars(app))


def test_no_way_back_leads_to_the_secret(desk: Desk) -> None:
    app_page(desk, "shown-once")
    page = desk.page
    secret = create(desk)
    assert secret not in page.content()
    for go in (page.reload, page.go_back, page.go_forward):
        go()
        assert secret not in page.content()
        assert secret not in page.url


def test_closing_asks_when_nothing_was_copied(desk: Desk) -> None:
    app_page(desk, "careless")
    page = desk.page
    page.get_by_role("link", name="Create credential").click()
    desk.dialog.get_by_role("button", name="Create").click()
    expect(page.locator("#secret")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("You have not copied the secret.")).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("link", name="Close without it").click()
    expect(page.get_by_role("heading", name="careless", level=1)).to_be_visible()


def test_the_secret_file_has_the_secret_alone(desk: Desk, tmp_path: Path) -> None:
    app_page(desk, "by-file")
    page = desk.page
    page.get_by_role("link", name="Create credential").click()
    desk.dialog.get_by_role("button", name="Create").click()
    secret = page.locator("#secret").inner_text()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Download secret file").click()
    assert downloading.value.suggested_filename == "app-secret"
    downloading.value.save_as(tmp_path / "app-secret")
    assert (tmp_path / "app-secret").read_text() == f"{secret}\n"
    desk.dialog.get_by_role("link", name="Close", exact=True).click()  # it is kept, so nothing is asked
    expect(desk.dialog).to_have_count(0)


def test_an_app_is_deleted_from_its_own_page(desk: Desk) -> None:
    app_page(desk, "short-lived")
    desk.page.get_by_role("link", name="Delete").click()
    desk.page.get_by_role("button", name="Delete").click()
    desk.notice("The app is deleted")
    expect(desk.row("short-lived")).to_have_count(0)


def test_without_scripts_all_of_it_works_too(server: Server, chromium: Browser) -> None:
    with sat_down(server, chromium, java_script_enabled=False) as desk:
        desk.sign_in()
        app_page(desk, "no-scripts")
        page = desk.page
        page.get_by_role("link", name="Create credential").click()
        page.get_by_role("button", name="Create").click()
        credential = parse_app_secret(page.locator("#secret").inner_text()).key_id
        page.get_by_role("link", name="Close", exact=True).click()
        page.get_by_role("link", name=f"Revoke credential {credential}").click()
        page.get_by_role("button", name="Revoke").click()
        desk.notice("The credential is revoked")
        page.get_by_role("link", name="Create credential").click()
        page.get_by_role("button", name="Create").click()
        parse_app_secret(page.locator("#secret").inner_text())
        desk.open("apps")
        with pytest.raises(Error, match="ERR_CACHE_MISS"):  # the browser has kept nothing of that page
            page.go_back()
