"""`serve`: its options are the contract's, and it says what is missing where the server is not installed."""

import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from aditus.config.address import Address
from aditus.config.serve import ServeConfig
from aditus.domain.connect_url import RelayUrl
from aditus.domain.keytext import SecretText
from aditus.wiring import serve as wiring
from tests.cli.run import Ended, run, run_process

Serve = Callable[[str], ServeConfig]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """What the server's program is started with by `aditus serve --data DIR …`."""
    started: list[ServeConfig] = []

    def program(config: ServeConfig) -> int:
        started.append(config)
        return 0

    monkeypatch.setattr(wiring, "run", program)

    def serve(line: str) -> ServeConfig:
        assert run("serve", "--data", "data", *shlex.split(line)) == Ended(0, "", "")
        return started.pop()

    return serve


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("", "api_listen", Address("127.0.0.1", 8080)),
        ("", "relay_listen", Address("127.0.0.1", 8443)),
        ("", "region", "local"),
        ("", "app_listen", "127.0.0.1"),
        ("", "metrics_listen", Address("127.0.0.1", 9464)),
        ("", "metrics_named", False),
        ("--api-listen [::1]:0", "api_listen", Address("::1", 0)),
        ("--relay-listen 0.0.0.0:443", "relay_listen", Address("0.0.0.0", 443)),
        ("--region eu-1", "region", "eu-1"),
        ("--app-listen off", "app_listen", None),
        ("--app-listen ::1", "app_listen", "::1"),
        ("--public-url wss://a --public-url wss://b:1", "public_urls", (RelayUrl("a"), RelayUrl("b", 1))),
        ("--tls-cert c.pem --tls-key k.pem", "tls_cert", Path("c.pem")),
        ("--tls-cert c.pem --tls-key k.pem", "tls_key", Path("k.pem")),
        ("--metrics-listen 127.0.0.1:9464", "metrics_named", True),
        ("--metrics-listen off", "metrics_listen", None),
        ("--log-format json", "log_format", "json"),
        ("--log-file serve.log", "log_file", Path("serve.log")),
        ("--debug", "debug", True),
        ("-d", "debug", True),
    ],
)
def test_each_option_reaches_the_server(serve: Serve, line: str, field: str, value: object) -> None:
    assert getattr(serve(line), field) == value


def test_several_proxies_can_be_trusted(serve: Serve) -> None:
    config = serve("--trusted-proxy 10.0.0.0/8 --trusted-proxy ::1")
    assert [str(network) for network in config.trusted_proxies] == ["10.0.0.0/8", "::1/128"]


def test_the_database_is_named_in_a_file_or_the_environment(
    serve: Serve, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert serve("").database_url is None
    monkeypatch.setenv("ADITUS_DATABASE_URL", "postgresql://a")
    assert serve("").database_url == SecretText("postgresql://a")
    (home / "url").write_text("postgresql://b\n")
    assert serve(f"--database-url-file {home / 'url'}").database_url == SecretText("postgresql://b")


def test_a_server_that_is_not_installed_says_how_to_install_it() -> None:
    program = "import sys; sys.modules['fastapi'] = None; from aditus.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "serve", "--data", "data"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "it needs fastapi" in done.stderr
    assert "pip install 'aditus[server]'" in done.stderr


def test_a_taken_port_is_one_line_and_2_and_makes_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_process("serve", "--data", str(home / "data"), "--api-listen", f"127.0.0.1:{port}")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"aditus: --api-listen 127.0.0.1:{port} cannot be listened on")
    assert ended.err.count("\n") == 1
    assert [path.name for path in (home / "data").iterdir()] in ([], ["lock"])
