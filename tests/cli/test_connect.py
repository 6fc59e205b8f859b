"""`connect` and `configure`: our own forms and all of tibtunnel's, each a row."""

import io
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aditus.cli.main import main
from aditus.config.connect import ConnectConfig
from aditus.domain.spec import Spec
from aditus.telemetry.status import StatusView
from aditus.wiring import connect as wiring
from tests.cli.run import OTHER_SECRET, PROGRAM, SECRET, Ended, Terminal, run, run_process, secret_parts

URL = "wss://relay.example.com/connect/4gTkAbCdEf0123456789xy"
DB = (Spec(5432, "db", 5432),)
CHART = (
    "-d --config-dir . --log-format json --payload --data-chunk-size 32 --data-ack-mode=false --remote-debug"
    " --log-file a.log --network-check-url https://up --infinite-retries"
)

Connect = Callable[[str], ConnectConfig]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """What the agent's program is started with by `aditus connect …`."""
    started: list[ConnectConfig] = []

    def program(config: ConnectConfig, status: StatusView | None = None) -> int:
        started.append(config)
        return 0

    monkeypatch.setattr(wiring, "run", program)
    monkeypatch.setenv("ADITUS_ACCESS_KEY", SECRET.reveal())

    def connect(line: str) -> ConnectConfig:
        ended = run("connect", *shlex.split(line))
        assert ended == Ended(0, "", "")
        return started.pop()

    return connect


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        # the specs, in tibtunnel's forms
        (f"-s 5432:db:5432 {URL}", "specs", DB),
        (f"-s db:5432 {URL}", "specs", DB),
        (f"-sdb:5432 {URL}", "specs", DB),
        (f"-s=db:5432 {URL}", "specs", DB),
        (f"--spec db:5432 {URL}", "specs", DB),
        (f"--spec=db:5432 {URL}", "specs", DB),
        (f"{URL} -s db:5432", "specs", DB),
        (f"-s db:5432 -- {URL}", "specs", DB),
        (f"-s db:5432 -s 9000:[::1]:80 {URL}", "specs", (*DB, Spec(9000, "::1", 80))),
        # booleans: bare, =true or =false, and never the next word
        (f"-s db:5432 -d {URL}", "debug", True),
        (f"-s db:5432 -d=true {URL}", "debug", True),
        (f"-s db:5432 -d=false {URL}", "debug", False),
        (f"-s db:5432 --debug {URL}", "debug", True),
        (f"-s db:5432 --debug=TRUE {URL}", "debug", True),
        (f"-s db:5432 --debug=0 {URL}", "debug", False),
        (f"-s db:5432 --debug --debug=false {URL}", "debug", False),
        (f"-ds db:5432 {URL}", "debug", True),
        (f"-s db:5432 --infinite-retries {URL}", "infinite_retries", True),
        (f"-s db:5432 --infinite-retries=true {URL}", "infinite_retries", True),
        (f"-s db:5432 --infinite-retries=false {URL}", "infinite_retries", False),
        (f"-s db:5432 --debug --payload {URL}", "payload", True),
        (f"-s db:5432 --debug --payload=false {URL}", "payload", False),
        # values
        (f"-s db:5432 --log-format json {URL}", "log_format", "json"),
        (f"-s db:5432 --log-file a.log {URL}", "log_file", Path("a.log")),
        (f"-s db:5432 --network-check-url http://up {URL}", "network_check_url", "http://up"),
        (f"-s db:5432 --ca-file ca.pem {URL}", "ca_file", Path("ca.pem")),
        (f"-s db:5432 --health-listen off {URL}", "health_listen", None),
        # what has no meaning here
        (f"-s db:5432 --network-check-url http://up {URL}", "network_check_url", "notice"),
        (f"-s db:5432 --data-chunk-size 32 {URL}", "data_chunk_size", "notice"),
        (f"-s db:5432 --data-ack-mode {URL}", "data_ack_mode", "notice"),
        (f"-s db:5432 --data-ack-mode=false {URL}", "data_ack_mode", "notice"),
        (f"-s db:5432 --remote-debug {URL}", "remote_debug", "notice"),
        # the line that charts of tibtunnel make
        (f"{CHART} -s db:5432 {URL}", "specs", DB),
    ],
)
def test_a_command_line_of_tibtunnel_means_the_same_here(
    connect: Connect, line: str, field: str, value: object
) -> None:
    config = connect(line)
    assert [str(url) for url in config.connect_urls] == [URL]
    if value == "notice":
        assert [
            notice for notice in config.notices if notice.startswith(f"--{field.replace('_', '-')} has no")
        ]
    else:
        assert getattr(config, field) == value


@pytest.mark.parametrize(
    "flag", ["--data-ack-mode", "--infinite-retries", "--payload", "--remote-debug", "-d"]
)
def test_a_flag_leaves_the_next_word_alone(connect: Connect, flag: str) -> None:
    config = connect(f"-s db:5432 {flag} {URL}")
    assert [str(url) for url in config.connect_urls] == [URL]


def test_the_ca_file_may_come_from_the_environment(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADITUS_CA_FILE", "ca.pem")
    assert connect(f"-s db:5432 {URL}").ca_file == Path("ca.pem")


def test_the_health_address_may_come_from_the_environment(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADITUS_HEALTH_LISTEN", "0.0.0.0:3127")
    assert str(connect(f"-s db:5432 {URL}").health_listen) == "0.0.0.0:3127"
    assert connect(f"-s db:5432 --health-listen off {URL}").health_listen is None


def test_a_secret_on_the_command_line_works_and_warns(connect: Connect) -> None:
    for form in ("--access-key {}", "--accessKey {}", "--accessKey={}", "-a {}", "-a={}", "-a{}"):
        config = connect(f"-s db:5432 {form.format(OTHER_SECRET.reveal())} {URL}")
        assert config.secret == OTHER_SECRET
        assert "on the command line" in config.notices[0]


@pytest.mark.parametrize("flag", ["--debug=maybe", "-d=", "--data-ack-mode=32"])
def test_a_boolean_is_true_or_false(flag: str) -> None:
    ended = run("connect", "-s", "db:5432", flag, URL)
    assert ended.code == 2
    assert "is either true or false" in ended.err


# --- the status line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terminal", "term", "words", "is_shown"),
    [
        (True, "xterm", [], True),
        (False, "xterm", [], False),
        (True, "dumb", [], False),
        (True, "xterm", ["--debug"], False),
    ],
)
def test_a_status_line_is_for_terminals(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, term: str, words: list[str], is_shown: bool
) -> None:
    views: list[StatusView | None] = []

    def program(config: ConnectConfig, status: StatusView | None = None) -> int:
        views.append(status)
        return 7

    monkeypatch.setattr(wiring, "run", program)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("ADITUS_ACCESS_KEY", SECRET.reveal())
    stderr = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert main(["connect", "-s", "db:5432", *words, URL]) == 7
    assert [view is not None for view in views] == [is_shown]


# --- configure --------------------------------------------------------------------------------


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = False) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdin", Terminal(text) if terminal else io.StringIO(text))
        yield


@pytest.mark.parametrize(
    ("line", "profile", "warns"),
    [
        ("--accessKey {}", "default", True),
        ("--accessKey={}", "default", True),
        ("--access-key {}", "default", True),
        ("-a {}", "default", True),
        ("-a={}", "default", True),
        ("--profile cdash --accessKey {}", "cdash", True),
        ("--access-key-file - --profile=cdash", "cdash", False),
        ("--access-key-file key.txt", "default", False),
        ("--basicauth=false --accessKey {}", "default", True),
        ("--log-format json -a {}", "default", True),
    ],
)
def test_a_key_is_stored_in_every_form(
    home: Path, monkeypatch: pytest.MonkeyPatch, line: str, profile: str, warns: bool
) -> None:
    monkeypatch.chdir(home)
    key_file = home / "key.txt"
    key_file.write_text(SECRET.reveal())
    key_file.chmod(0o600)
    with typed(monkeypatch, SECRET.reveal()):
        ended = run("configure", *shlex.split(line.format(SECRET.reveal())))
    path = home / ".aditus" / "credentials"
    assert (ended.code, ended.out) == (0, "")
    assert path.read_text() == f"[{profile}]\naccessKey={SECRET.reveal()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f"The key AbCdEf012345 of the region eu-1 is stored as profile {profile}" in ended.err
    assert ("on the command line" in ended.err) is warns
    assert not any(part in ended.said for part in secret_parts())


def test_a_key_from_the_environment_is_stored_in_a_folder_of_ones_own(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADITUS_ACCESS_KEY", SECRET.reveal())
    assert run("configure", "--config-dir", str(home / "conf")).code == 0
    assert (home / "conf" / "credentials").read_text() == f"[default]\naccessKey={SECRET.reveal()}\n"
    assert not (home / ".aditus").exists()


def test_a_person_is_asked_and_the_answer_is_not_shown(home: Path) -> None:
    """On a real terminal, whose echo is what would give the secret away."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "configure"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""
    while b"(not shown): " not in seen:  # the last blank comes when the echo is off
        seen += os.read(ours, 1024)
    os.write(ours, SECRET.reveal().encode() + b"\n")
    with suppress(OSError):  # Linux's way of saying that the other end is gone
        while chunk := os.read(ours, 1024):
            seen += chunk
    os.close(ours)
    assert process.wait() == 0
    assert b"is stored as profile default" in seen
    assert not any(part.encode() in seen for part in secret_parts())
    assert SECRET.reveal() in (home / ".aditus" / "credentials").read_text()


def test_nothing_to_store_says_what_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    with typed(monkeypatch, ""):
        ended = run("configure")
    assert ended.code == 2
    assert "--access-key-file" in ended.err


def test_a_relay_is_stored_alone_and_with_a_key(home: Path) -> None:
    assert run("configure", "--relay", "https://Relay.example.com:443/").code == 0
    ended = run("configure", "-a", SECRET.reveal())
    assert "No relay is stored" not in ended.err
    assert (home / ".aditus" / "credentials").read_text() == (
        f"[default]\nrelay=wss://relay.example.com\naccessKey={SECRET.reveal()}\n"
    )


def test_what_is_stored_connects(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADITUS_ACCESS_KEY")
    run("configure", "--profile", "eu", "--relay", "wss://relay.eu.example.com", "-a", OTHER_SECRET.reveal())
    config = connect("--profile eu -s db:5432")
    assert config.secret == OTHER_SECRET
    assert [str(url) for url in config.connect_urls] == ["wss://relay.eu.example.com/connect"]


@pytest.mark.parametrize(
    "line",
    ["--basicauth --user admin --password hunter2", "--user admin --password hunter2", "--basicauth=true"],
)
@pytest.mark.parametrize("command", ["configure", f"connect -s db:5432 {URL}"])
def test_a_user_name_and_password_are_refused_with_what_to_use_instead(
    home: Path, command: str, line: str
) -> None:
    ended = run(*shlex.split(command), *shlex.split(line))
    assert ended.code == 2
    assert "aditus configure --access-key-file -" in ended.err
    assert "hunter2" not in ended.said
    assert not (home / ".aditus").exists()


def test_a_malformed_secret_is_2_offline_and_stores_nothing(home: Path) -> None:
    ended = run_process("configure", "--access-key-file", "-", stdin=SECRET.reveal()[:-1], HOME=str(home))
    assert ended.code == 2
    assert "standard input" in ended.err
    assert not (home / ".aditus").exists()
    assert not any(part in ended.said for part in secret_parts())
