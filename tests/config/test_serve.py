"""What a server is told: its defaults are the contract's, and what cannot be right is said at once."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from aditus.config.address import Address
from aditus.config.serve import ServeConfig, ServeOptions, serve_config
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SecretText
from tests.config.given import surroundings, write

DATABASE_URL = "postgresql://aditus:hunter2@db.internal/aditus"


def read(home: Path, env: dict[str, str] | None = None, /, **options: object) -> ServeConfig:
    given: dict[str, object] = {"data": home / "data", **options}
    return serve_config(
        ServeOptions(**given),  # type: ignore[arg-type]  # each test names its own options
        surroundings(home, **(env or {})),
    )


def test_a_folder_is_all_that_a_server_needs(tmp_path: Path) -> None:
    assert read(tmp_path) == ServeConfig(
        data=tmp_path / "data",
        api_listen=Address("127.0.0.1", 8080),
        relay_listen=Address("127.0.0.1", 8443),
        region="local",
        app_listen="127.0.0.1",
        database_url=None,
        public_urls=(),
        tls_cert=None,
        tls_key=None,
        trusted_proxies=(),
        metrics_listen=Address("127.0.0.1", 9464),
        metrics_named=False,
        log_format="text",
        log_file=None,
        debug=False,
        notices=(),
    )
    assert not (tmp_path / "data").exists()


def test_all_that_a_server_can_be_told(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        api_listen="0.0.0.0:443",
        relay_listen="[::]:8443",
        region="eu-1",
        app_listen="off",
        public_urls=("wss://relay.example.com", "https://RELAY.example.com:443/", "wss://[::1]:8443"),
        tls_cert=Path("cert.pem"),
        tls_key=Path("key.pem"),
        trusted_proxies=("10.0.0.0/8", "192.0.2.7", "fd00::/8", "10.0.0.0/8"),
        metrics_listen="off",
        log_format="json",
        log_file=Path("serve.log"),
        debug=True,
    )
    assert (config.api_listen, config.relay_listen) == (Address("0.0.0.0", 443), Address("::", 8443))
    assert (config.region, config.app_listen) == ("eu-1", None)
    assert config.public_urls == (RelayUrl("relay.example.com"), RelayUrl("::1", 8443))
    assert (config.tls_cert, config.tls_key) == (Path("cert.pem"), Path("key.pem"))
    assert config.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")))
    assert (config.metrics_listen, config.metrics_named) == (None, True)
    assert (config.log_format, config.log_file, config.debug) == ("json", Path("serve.log"), True)


def test_a_folder_is_the_same_wherever_the_server_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read(tmp_path, data=Path("data")).data == tmp_path / "data"


def test_a_named_metrics_address_is_known_from_the_default(tmp_path: Path) -> None:
    config = read(tmp_path, metrics_listen="127.0.0.1:9464")
    assert (config.metrics_listen, config.metrics_named) == (Address("127.0.0.1", 9464), True)


def test_the_database_url_comes_from_a_file_before_the_environment_and_is_never_shown(tmp_path: Path) -> None:
    env = {"ADITUS_DATABASE_URL": "postgresql://other"}
    path = write(tmp_path / "url", f"{DATABASE_URL}\n")
    assert read(tmp_path, env).database_url == SecretText("postgresql://other")
    config = read(tmp_path, env, database_url_file=str(path))
    assert config.database_url == SecretText(DATABASE_URL)
    assert "hunter2" not in repr(config)
    path.chmod(0o644)
    assert "chmod 600" in read(tmp_path, database_url_file=str(path)).notices[0]


def test_an_empty_database_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "url", "\n")
    with pytest.raises(AditusError, match="is empty"):
        read(tmp_path, database_url_file=str(path))


@pytest.mark.parametrize(
    ("options", "reason", "names"),
    [
        ({"tls_cert": Path("c")}, "half-tls", "--tls-key"),
        ({"tls_key": Path("k")}, "half-tls", "--tls-cert"),
        ({"api_listen": "hunter2"}, "bad-address", "--api-listen"),
        ({"relay_listen": "8443"}, "bad-address", "--relay-listen"),
        ({"metrics_listen": "hunter2"}, "bad-address", "--metrics-listen"),
        ({"app_listen": "127.0.0.1:80"}, "bad-address", "--app-listen"),
        ({"region": "Hunter2"}, "bad-name", "region"),
        ({"public_urls": ("http://hunter2",)}, "bad-url", "relay URL"),
        ({"trusted_proxies": ("hunter2",)}, "bad-network", "--trusted-proxy"),
        ({"trusted_proxies": ("10.0.0.1/8",)}, "bad-network", "--trusted-proxy"),
    ],
)
def test_what_cannot_be_right_is_refused_without_echo(
    tmp_path: Path, options: dict[str, object], reason: str, names: str
) -> None:
    with pytest.raises(AditusError) as caught:
        read(tmp_path, None, **options)
    assert (caught.value.code, caught.value.reason) == (Code.INVALID, reason)
    assert names in caught.value.message
    assert "hunter2" not in str(caught.value).lower()
