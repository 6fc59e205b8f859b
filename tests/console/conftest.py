"""A server and a Chromium for all tests of a module, and a desk of its own for each."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import CI
from tests.console.browsers import AXE, Desk, Session, chromium_path, give_password, sat_down, signed_in
from tests.process.conftest import data_folder, template
from tests.process.programs import Server

__all__ = ["data_folder", "template"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Debian's, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(data_folder: Callable[[], Path]) -> Iterator[Server]:
    """One that has nothing but its owner, at first."""
    data = data_folder()
    give_password(data)
    with Server(data) as server:
        yield server


@pytest.fixture(scope="module")
def session(server: Server) -> Session:
    """One for all tests that do not end it."""
    return signed_in(server)


@pytest.fixture
def desk(server: Server, chromium: Browser, session: Session) -> Iterator[Desk]:
    """The owner, signed in."""
    with sat_down(server, chromium) as desk:
        yield desk.come_in(session)


@pytest.fixture
def axe() -> None:
    """Skips, with a reason, where axe-core is not installed."""
    if not AXE.exists():
        reason = "needs axe-core: npm install --prefix tests/console --no-package-lock"
        if CI:
            pytest.fail(f"{reason}: in CI nothing is skipped, so .ci/run installs it", pytrace=False)
        pytest.skip(reason)
