"""A relay with a key of its own for each test of this room."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as site:
        yield site
