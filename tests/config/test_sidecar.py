"""What a sidecar is told: its defaults are the contract's, and what cannot be right is said at once."""

from pathlib import Path

import pytest

from aditus.config.address import Address
from aditus.config.sidecar import SidecarConfig, SidecarOptions, sidecar_config
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import format_app_secret
from aditus.sidecar.settings import LocalPort
from tests.config.given import KEY_ID, SECRET, surroundings, write

APP_SECRET = format_app_secret(KEY_ID, bytes(range(32)))
RELAY = "wss://relay.example.com"


def read(
    home: Path, env: dict[str, str] | None = None, stdin: str = "", /, **options: object
) -> SidecarConfig:
    given: dict[str, object] = {"app": "shop", "relays": (RELAY,), **options}
    told = {"ADITUS_APP_SECRET": APP_SECRET.reveal()} if env is None else env
    return sidecar_config(
        SidecarOptions(**given),  # type: ignore[arg-type]  # each test names its own options
        surroundings(home, stdin, **told),
    )


def test_app_relay_and_credential_are_all_that_a_sidecar_needs(tmp_path: Path) -> None:
    assert read(tmp_path) == SidecarConfig(
        app="shop",
        secret=APP_SECRET,
        relays=(RelayUrl("relay.example.com"),),
        listen="127.0.0.1",
        local_ports=(),
        socks=None,
        http_proxy=None,
        links=1,
        infinite_retries=False,
        log_format="text",
        log_file=None,
        debug=False,
        ca_file=None,
        client_cert=None,
        proxies={},
        health_listen=Address("127.0.0.1", 3128),
        health_named=False,
        notices=(),
    )


def test_the_relay_may_come_from_the_environment_and_the_credential_from_a_file(tmp_path: Path) -> None:
    file = write(tmp_path / "shop.secret", f"  {APP_SECRET.reveal()}\n")
    config = read(tmp_path, {"ADITUS_RELAY": RELAY}, relays=(), secret_file=str(file))
    assert (config.relays, config.secret) == ((RelayUrl("relay.example.com"),), APP_SECRET)
    config = read(tmp_path, {}, APP_SECRET.reveal(), secret_file="-")
    assert config.secret == APP_SECRET


def test_a_file_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    file = write(tmp_path / "shop.secret", APP_SECRET.reveal(), 0o644)
    [notice] = read(tmp_path, {}, secret_file=str(file)).notices
    assert "open to others" in notice


def test_local_ports_and_proxies(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        local_ports=("15432:5432", "6379"),
        socks="127.0.0.1:1080",
        http_proxy="[::1]:3129",
        health_listen="off",
        relays=(RELAY, "https://RELAY.example.com/", "wss://other.example.com:8443"),
    )
    assert config.local_ports == (LocalPort(15432, 5432), LocalPort(6379, 6379))
    assert (config.socks, config.http_proxy) == (Address("127.0.0.1", 1080), Address("::1", 3129))
    assert config.relays == (RelayUrl("relay.example.com"), RelayUrl("other.example.com", 8443))
    assert (config.health_listen, config.health_named) == (None, True)
    assert config.notices == ()


def test_doors_that_are_open_to_others_are_warned_of(tmp_path: Path) -> None:
    notices = read(tmp_path, listen="0.0.0.0", socks="0.0.0.0:1080").notices
    assert [notice.split()[0] for notice in notices] == ["--listen", "--socks"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"relays": ()}, "no-relay"),
        ({"relays": ("ws://relay.example.com",)}, "bad-url"),
        ({"relays": tuple(f"wss://r{number}" for number in range(17))}, "many-urls"),
        ({"app": "a/b"}, "bad-name"),
        ({"local_ports": ("0:5432",)}, "bad-port"),
        ({"local_ports": ("5432:65536",)}, "bad-port"),
        ({"local_ports": ("db:5432",)}, "bad-port"),
        ({"local_ports": ("1:2", "1:3")}, "bad-port"),
        ({"local_ports": tuple(str(port) for port in range(1, 1_026))}, "bad-port"),
        ({"socks": "1080"}, "bad-address"),
        ({"listen": "not a host"}, "bad-address"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, options: dict[str, object], reason: str) -> None:
    with pytest.raises(AditusError) as caught:
        read(tmp_path, **options)
    assert (caught.value.code, caught.value.reason) == (Code.INVALID, reason)


def test_without_a_credential_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="aditus apps credential APP") as caught:
        read(tmp_path, {})
    assert caught.value.reason == "no-secret"


@pytest.mark.parametrize("text", [SECRET.reveal(), APP_SECRET.reveal()[:-1], "hunter2"])
def test_what_is_no_credential_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(AditusError) as caught:
        read(tmp_path, {"ADITUS_APP_SECRET": text})
    assert text not in str(caught.value)
    assert str(caught.value).startswith("The credential from ADITUS_APP_SECRET cannot be right.")
