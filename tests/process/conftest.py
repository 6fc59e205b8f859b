"""What many tests can share, as a start takes a second: a server, and folders after a first start."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.programs import Server, copied
from tests.world import first_started


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after a first start. Not to be changed: copy it."""
    return copied(Path(first_started().name), tmp_path_factory.mktemp("template") / "data")


@pytest.fixture(scope="session")
def data_folder(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes a copy of that folder of one's own."""
    return lambda: copied(template, tmp_path_factory.mktemp("server") / "data")


@pytest.fixture(scope="session")
def server(data_folder: Callable[[], Path]) -> Iterator[Server]:
    """One for all tests that leave it as it is; each uses keys of its own."""
    with Server(data_folder()) as server:
        yield server
