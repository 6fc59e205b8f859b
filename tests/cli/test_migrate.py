"""docs/migrate-from-tibtunnel.md: every command line of the page, with its first word changed."""

import re
import shlex
from pathlib import Path

import pytest

from aditus.config.connect import ConnectConfig
from aditus.telemetry.status import StatusView
from aditus.wiring import connect as wiring
from tests.cli.run import SECRET, run

PAGE = Path(__file__).parents[2] / "docs/migrate-from-tibtunnel.md"
ROWS = re.findall(r"^\| `tibtunnel (.+?)` \| (same|warns|refused) \|", PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ConnectConfig]:
    """What agents were started with; there is a profile `default`, in the home folder and in `conf`."""
    found: list[ConnectConfig] = []

    def program(config: ConnectConfig, status: StatusView | None = None) -> int:
        found.append(config)
        return 0

    monkeypatch.setattr(wiring, "run", program)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text(SECRET.reveal())
    (tmp_path / "secret").chmod(0o600)
    assert run("configure", "--access-key-file", "secret").code == 0
    assert run("configure", "--config-dir", "conf", "--access-key-file", "secret").code == 0
    return found


def test_the_page_has_the_lines_of_both_commands() -> None:
    lines = [line.split()[0] for line, _ in ROWS]
    assert lines.count("configure") >= 6
    assert lines.count("connect") >= 18


@pytest.mark.parametrize(("line", "outcome"), ROWS, ids=[line for line, _ in ROWS])
def test_a_line_works_with_its_first_word_changed(
    started: list[ConnectConfig], line: str, outcome: str
) -> None:
    urls = iter(["wss://one.example.com/connect/4gT0example", "wss://two.example.com/connect/4gT0example"])
    words = [
        next(urls) if word == "URL" else word.replace("SECRET", SECRET.reveal()) for word in shlex.split(line)
    ]
    ended = run(*words)
    if outcome == "refused":
        assert (ended.code, started) == (2, [])
        assert "access key" in ended.err  # what to do instead
        return
    assert ended.code == 0, ended.err
    notices = [line for config in started for line in config.notices]
    said = bool(notices) or "warning" in ended.err.lower()
    assert said is (outcome == "warns"), (notices, ended.err)
    if words[0] == "connect":
        [config] = started
        assert len(config.connect_urls) == shlex.split(line).count("URL")
        assert config.secret == SECRET


def test_what_stood_around_the_command_line_is_found_where_it_was(
    started: list[ConnectConfig], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".aditus").rename(tmp_path / ".tibtunnel")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "one.example.com")
    urls = [f"wss://{name}.example.com/connect/4gT0example" for name in ("one", "two")]
    assert run("connect", "-s", "db.internal:5432", *urls).code == 0
    [config] = started
    assert config.secret == SECRET
    assert [relay.host for relay in config.proxies] == ["two.example.com"]
    assert (str(config.health_listen), config.health_named) == ("127.0.0.1:3127", False)
