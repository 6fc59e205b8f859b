"""Where the server runs, and where it does not."""

import sys
from io import StringIO
from pathlib import Path

import pytest

from aditus.config.serve import ServeOptions, serve_config
from aditus.config.surroundings import Surroundings
from aditus.domain.errors import AditusError, Code
from aditus.wiring import serve


def test_the_server_says_at_once_where_it_does_not_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = serve_config(ServeOptions(data=tmp_path / "data"), Surroundings({}, tmp_path, StringIO()))
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(AditusError) as refused:
        serve.run(config)
    assert refused.value.code is Code.INVALID
    assert "Linux or macOS" in str(refused.value)
    assert not (tmp_path / "data").exists()
