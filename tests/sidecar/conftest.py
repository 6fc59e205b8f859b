"""A relay without listeners of its own: every way to an agent leads over a sidecar here."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.world import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path, app_listen=None) as site:
        yield site
