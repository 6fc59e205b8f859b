"""What an agent is told: where its key and relay come from, and which command lines cannot be right."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aditus.config.address import Address
from aditus.config.connect import ConnectConfig, ConnectOptions, connect_config
from aditus.config.profiles import store_profile
from aditus.domain.connect_url import ConnectUrl, RelayUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SecretText
from aditus.domain.spec import Spec
from tests.config.given import OTHER_SECRET, SECRET, TYPO, secret_parts, surroundings, write

URL = "wss://relay.example.com/connect/4gTkAbCdEf0123456789xy"
SAME_AT_ANOTHER = "https://relay2.example.com:8443/connect/4gTkAbCdEf0123456789xy"
ANOTHER_KEYS = "wss://relay.example.com/connect/ZZZkAbCdEf0123456789xy"

Read = Callable[..., ConnectConfig]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads options and environment variables; there are a spec, a key and a URL unless told otherwise."""

    def read(stdin: str = "", env: dict[str, str] | None = None, **options: object) -> ConnectConfig:
        given: dict[str, object] = {"specs": ("5432:db:5432",), "connect_urls": (URL,), **options}
        variables = {"ADITUS_ACCESS_KEY": SECRET.reveal()} if env is None else env
        return connect_config(
            ConnectOptions(**given),  # type: ignore[arg-type]  # each test names its own options
            surroundings(tmp_path, stdin, **variables),
        )

    return read


def refused(read: Read, **options: object) -> AditusError:
    with pytest.raises(AditusError) as caught:
        read(**options)
    assert caught.value.code is Code.INVALID
    assert caught.value.remedy
    return caught.value


# --- the whole --------------------------------------------------------------------------------


def test_the_least_that_an_agent_needs(read: Read) -> None:
    assert read() == ConnectConfig(
        secret=SECRET,
        connect_urls=(ConnectUrl(RelayUrl("relay.example.com"), "4gTkAbCdEf0123456789xy"),),
        specs=(Spec(5432, "db", 5432),),
        links=1,
        infinite_retries=False,
        network_check_url=None,
        log_format="text",
        log_file=None,
        debug=False,
        payload=False,
        ca_file=None,
        client_cert=None,
        proxies={},
        health_listen=Address("127.0.0.1", 3127),
        health_named=False,
        notices=(),
    )


def test_all_that_an_agent_can_be_told(read: Read) -> None:
    config = read(
        infinite_retries=True,
        network_check_url="http://intranet/up",
        log_format="json",
        log_file=Path("a.log"),
        debug=True,
        payload=True,
        ca_file=Path("ca.pem"),
        proxy="http://user:hunter2@proxy:3128",
        health_listen="[::]:0",
    )
    assert config.infinite_retries
    assert config.network_check_url == "http://intranet/up"
    assert (config.log_format, config.log_file) == ("json", Path("a.log"))
    assert (config.debug, config.payload) == (True, True)
    assert config.ca_file == Path("ca.pem")
    [proxy] = config.proxies.values()
    assert proxy.url == SecretText("http://user:hunter2@proxy:3128")
    assert (config.health_listen, config.health_named) == (Address("::", 0), True)


def test_a_configuration_can_be_printed_without_its_secrets(read: Read) -> None:
    config = read(proxy="socks5://user:hunter2@proxy:1080")
    for text in (repr(config), str(config)):
        assert "hunter2" not in text
        assert not any(part in text for part in secret_parts())


def test_the_health_page_can_be_off(read: Read) -> None:
    config = read(health_listen="off")
    assert (config.health_listen, config.health_named) == (None, True)


def test_an_agent_without_a_spec_has_nothing_to_do(read: Read) -> None:
    assert refused(read, specs=()).reason == "no-spec"


def test_specs_are_read_in_order_and_checked(read: Read) -> None:
    config = read(specs=("5432:db:5432", "[::1]:6379"))
    assert config.specs == (Spec(5432, "db", 5432), Spec(6379, "::1", 6379))
    assert refused(read, specs=("5432:a:1", "b:5432")).reason == "duplicate-app-port"
    assert refused(read, specs=("db",)).reason == "bad-spec"


# --- the key ----------------------------------------------------------------------------------


def test_secrets_are_looked_for_in_the_file_then_the_environment_then_the_profile(
    read: Read, tmp_path: Path
) -> None:
    store_profile("default", SECRET, None, None, surroundings(tmp_path))
    assert read(env={}).secret == SECRET
    assert read(env={"ADITUS_ACCESS_KEY": OTHER_SECRET.reveal()}).secret == OTHER_SECRET
    assert read(access_key_file="-", stdin=OTHER_SECRET.reveal()).secret == OTHER_SECRET


def test_a_named_profile_has_the_key(read: Read, tmp_path: Path) -> None:
    store_profile("default", SECRET, None, None, surroundings(tmp_path))
    store_profile("eu", OTHER_SECRET, None, None, surroundings(tmp_path))
    assert read(env={}, profile="eu").secret == OTHER_SECRET


def test_a_profile_that_the_environment_outdoes_is_said(read: Read, tmp_path: Path) -> None:
    store_profile("eu", OTHER_SECRET, None, None, surroundings(tmp_path))
    config = read(profile="eu")
    assert config.secret == SECRET
    assert config.notices == ("ADITUS_ACCESS_KEY is set and goes before the secret of the profile eu",)


def test_a_profile_that_is_not_there_is_refused_with_those_that_are(read: Read, tmp_path: Path) -> None:
    assert "none at all" in refused(read, profile="eu").message
    store_profile("us", SECRET, None, None, surroundings(tmp_path))
    error = refused(read, profile="eu")
    assert (error.reason, error.message) == ("no-profile", "There is no profile eu; there is us.")


def test_a_damaged_file_matters_only_if_it_is_needed(read: Read, tmp_path: Path) -> None:
    write(tmp_path / ".aditus" / "credentials", f"accessKey={SECRET.reveal()}\n")
    assert read().secret == SECRET
    assert "line 1" in refused(read, env={}).message


def test_no_secret_at_all_says_how_to_store_one(read: Read) -> None:
    error = refused(read, env={})
    assert error.reason == "no-secret"
    assert "aditus configure" in error.remedy


def test_the_secret_of_a_profile_is_checked_offline_and_named(read: Read, tmp_path: Path) -> None:
    path = write(tmp_path / ".tibtunnel" / "credentials", f"[default]\naccessKey={TYPO}\n")
    error = refused(read, env={})
    assert f"the profile default in {path}" in error.message
    assert not any(part in str(error) for part in (TYPO, *secret_parts()))


def test_a_profile_that_others_can_read_warns(read: Read, tmp_path: Path) -> None:
    store_profile("default", SECRET, None, None, surroundings(tmp_path)).chmod(0o644)
    assert "chmod 600" in read(env={}).notices[0]


# --- the relay --------------------------------------------------------------------------------


def test_several_urls_are_one_key_at_several_relays(read: Read) -> None:
    config = read(connect_urls=(URL, SAME_AT_ANOTHER, URL.replace("wss", "https")))
    assert [url.audience for url in config.connect_urls] == ["relay.example.com", "relay2.example.com:8443"]
    assert {url.connect_id for url in config.connect_urls} == {"4gTkAbCdEf0123456789xy"}


def test_the_url_of_another_key_is_refused_with_the_profile_to_use(read: Read, tmp_path: Path) -> None:
    error = refused(read, connect_urls=(URL, ANOTHER_KEYS))
    assert error.reason == "other-key"
    assert "aditus configure --profile" in error.remedy
    store_profile("default", SECRET, None, None, surroundings(tmp_path))
    store_profile("eu", OTHER_SECRET, None, None, surroundings(tmp_path))
    error = refused(read, connect_urls=(URL, ANOTHER_KEYS))
    assert "that of the profile default" in error.message
    assert "--profile (eu)" in error.remedy


def test_without_a_url_the_relay_is_looked_for_in_option_environment_and_profile(
    read: Read, tmp_path: Path
) -> None:
    store_profile("default", SECRET, RelayUrl("third.example.com"), None, surroundings(tmp_path))
    env = {"ADITUS_RELAY": "wss://second.example.com:8443"}
    for options, url in (
        ({"relay": "https://first.example.com", "env": env}, "wss://first.example.com/connect"),
        ({"env": env}, "wss://second.example.com:8443/connect"),
        ({"env": {}}, "wss://third.example.com/connect"),
    ):
        assert [str(one) for one in read(connect_urls=(), **options).connect_urls] == [url]


def test_no_relay_at_all_says_how_to_name_one(read: Read) -> None:
    error = refused(read, connect_urls=())
    assert error.reason == "no-relay"
    assert "--relay" in error.remedy


def test_a_relay_that_cannot_be_right_is_refused_with_its_place(read: Read, tmp_path: Path) -> None:
    assert "from --relay" in refused(read, connect_urls=(), relay="http://h").message
    env = {"ADITUS_ACCESS_KEY": SECRET.reveal(), "ADITUS_RELAY": "h"}
    assert "from ADITUS_RELAY" in refused(read, connect_urls=(), env=env).message
    path = write(tmp_path / ".aditus" / "credentials", "[default]\nrelay=wss://h/connect/x\n")
    assert f"the profile default in {path}" in refused(read, connect_urls=()).message


def test_a_url_goes_before_a_relay_and_says_so(read: Read) -> None:
    assert read(relay="wss://h").notices == ("--relay is not used, because Connect URLs are given",)


def test_a_url_of_tibtunnel_is_refused(read: Read) -> None:
    url = "https://integration.cloud.example.com/tunnel/abc123"
    assert refused(read, connect_urls=(url,)).reason == "bad-url"


def test_urls_without_end_are_refused(read: Read) -> None:
    many = tuple(f"wss://r{i}/connect/a" for i in range(17))
    assert len(read(connect_urls=many[:16]).connect_urls) == 16
    assert refused(read, connect_urls=many).reason == "many-urls"


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("network_check_url", "https://intranet/up"),
        ("data_chunk_size", "32"),
        ("data_chunk_size", "32KB"),
        ("data_ack_mode", True),
        ("data_ack_mode", False),
        ("remote_debug", True),
    ],
)
def test_what_has_no_meaning_here_is_accepted_and_says_so_once(
    read: Read, option: str, value: object
) -> None:
    (notice,) = read(**{option: value}).notices
    assert notice.startswith(f"--{option.replace('_', '-')} has no meaning here")


def test_payload_needs_debug_and_warns(read: Read) -> None:
    alone, with_debug = read(payload=True), read(payload=True, debug=True)
    assert (alone.payload, alone.notices) == (False, ("--payload does nothing without --debug",))
    assert with_debug.payload
    assert "passwords included" in with_debug.notices[0]


def test_a_password_for_the_proxy_on_the_command_line_warns(read: Read) -> None:
    assert not read(proxy="http://proxy:3128").notices
    assert "--proxy has a password" in read(proxy="http://u:p@proxy:3128").notices[0]


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("proxy", "proxy:3128"),
        ("proxy", "ftp://hunter2@proxy"),
        ("proxy", "http://"),
        ("proxy", "http://u:hunter2@proxy:no"),
        ("proxy", "http://[::1"),
        ("network_check_url", "intranet"),
        ("network_check_url", "file:///etc/passwd"),
        ("network_check_url", "http://[::1"),
        ("data_chunk_size", "hunter2"),
        ("health_listen", "hunter2"),
        ("health_listen", ""),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_by_option_without_echo(
    read: Read, option: str, value: str
) -> None:
    error = refused(read, **{option: value})
    assert error.message.startswith(f"--{option.replace('_', '-')} ")
    assert error.field == option
    assert "hunter2" not in str(error)
