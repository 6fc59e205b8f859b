"""agent.toml: options in a file, and each mistake told with its name and never with its value."""

import os
from pathlib import Path

import pytest

from aditus.config.agent_file import KNOWN, read_agent_file
from aditus.config.connect import ConnectOptions, connect_config, specs_anew
from aditus.domain.errors import AditusError
from aditus.domain.spec import Spec
from tests.config.given import SECRET, surroundings, write

posix = pytest.mark.skipif(os.name != "posix", reason="elsewhere, mode bits say nothing")
FILE = """
specs = ["5432:db:5432,probe=30"]
connect-urls = ["wss://relay.example.com/connect/4gTkAbCdEf0123456789xy"]
access-key-file = "key"
ca-file = "ca.pem"
links = 2
infinite-retries = true
log-format = "json"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "key", SECRET.reveal())
    return write(tmp_path / "agent.toml", FILE)


def test_a_file_is_enough(file: Path) -> None:
    config = connect_config(ConnectOptions(config=file), surroundings(None))
    assert config.specs == (Spec(5432, "db", 5432, probe_seconds=30),)
    assert config.secret == SECRET
    assert config.connect_urls[0].host == "relay.example.com"
    assert config.ca_file == file.parent / "ca.pem"
    assert (config.links, config.infinite_retries, config.log_format) == (2, True, "json")


def test_what_is_typed_goes_before_it_and_specs_add_up(file: Path) -> None:
    options = ConnectOptions(config=file, specs=("80:web:80",), links=1, infinite_retries=False)
    config = connect_config(options, surroundings(None))
    assert [spec.app_port for spec in config.specs] == [80, 5432]
    assert (config.links, config.infinite_retries) == (1, False)


def test_only_specs_change_while_it_runs(file: Path) -> None:
    config = connect_config(ConnectOptions(config=file), surroundings(None))
    assert specs_anew(config) == (config.specs, False)
    write(file, FILE.replace("5432:db:5432,probe=30", "1:db:2"))
    assert specs_anew(config) == ((Spec(1, "db", 2),), False)
    write(file, FILE.replace("links = 2", "links = 3"))
    assert specs_anew(config) == (config.specs, True)
    write(file, FILE.replace('"5432:db:5432,probe=30"', ""))
    with pytest.raises(AditusError, match="nothing to offer"):
        specs_anew(config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("specs = [", "is no TOML"),
        ('specs = "5432:db:5432"', "specs that is no list of texts"),
        ("specs = [5432]", "specs that is no list of texts"),
        ("links = true", "links that is no number from 1 to 4"),
        ("links = 5", "links that is no number from 1 to 4"),
        ("debug = 'yes'", "debug that is neither true nor false"),
        ("log-format = 'xml'", "log-format that is none of text, json"),
        ("relay = 1", "relay that is no text"),
        ("ca-file = 1", "ca-file that is no text"),
        ("relay = ''", "relay that is no text, or an empty one"),
        ("log-file = ''", "log-file that is no text, or an empty one"),
        ('ca-file = "a\\u0000b"', "ca-file that is no text"),
        ("ca-file = '~nobody-of-this-name/x'", "ca-file in the home folder of nobody"),
        ("spec = ['1:db:2']", "the option spec, which is unknown"),
        (f"{SECRET.reveal()} = 1", "an option, which is unknown"),
        ("specs = ['1:db:2', '3:db']", "specs of which number 2 cannot be right. The port is a number"),
        (f"access-key = '{SECRET.reveal()}'", "a file of its own"),
        (f"accessKey = '{SECRET.reveal()}'", "a file of its own"),
    ],
)
def test_each_mistake_is_named_and_not_shown(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(AditusError) as caught:
        read_agent_file(write(tmp_path / "agent.toml", text))
    assert says in caught.value.message
    assert SECRET.reveal() not in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="there is no file"):
        read_agent_file(tmp_path / "agent.toml")


def test_every_option_can_stand_in_it_but_secrets_and_those_without_meaning() -> None:
    fields = {name.replace("_", "-") for name in ConnectOptions.__dataclass_fields__}
    left_out = {"config", "access-key", "network-check-url", "remote-debug"}
    left_out |= {name for name in fields if name.startswith("data-")}
    assert set(KNOWN) == fields - left_out


@posix
def test_a_file_that_every_user_may_change_is_refused_also_while_the_agent_runs(file: Path) -> None:
    config = connect_config(ConnectOptions(config=file), surroundings(None))
    file.chmod(0o646)
    for read in (
        lambda: connect_config(ConnectOptions(config=file), surroundings(None)),
        lambda: specs_anew(config),
    ):
        with pytest.raises(AditusError) as refused:
            read()
        assert refused.value.reason == "open-file"
        assert f"chmod 600 {file}" in refused.value.remedy


@posix
def test_who_else_may_change_the_file_or_read_its_password_is_warned_of(file: Path) -> None:
    def notices() -> tuple[str, ...]:
        return connect_config(ConnectOptions(config=file), surroundings(None)).notices

    file.chmod(0o644)
    assert notices() == ()  # there is nothing to hide in it
    file.chmod(0o664)
    assert notices() == (f"the group may change {file} (mode 0664); run: chmod g-w {file}",)
    file.write_text(file.read_text() + 'proxy = "http://me:hunter2@proxy:3128"\n')
    file.chmod(0o644)
    [notice] = notices()
    assert f"chmod 600 {file}" in notice
    assert "hunter2" not in notice
    file.chmod(0o600)
    assert notices() == ()
