"""When the other side is not there, not Aditus, or not to be trusted: one line that says what to do."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from aditus.client import http
from aditus.client.rest import Client
from aditus.control.api.app import create_app
from aditus.crypto import devca
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import format_token
from tests.client.conftest import served
from tests.control_plane import ControlPlane

TOKEN = format_token("nobody000000", bytes(32)).reveal()
SECRET_PART = TOKEN.split("_")[2]


def failure(url: str, token: str = TOKEN, ca_file: Path | None = None) -> AditusError:
    """What asking there ends in."""
    with pytest.raises(AditusError) as raised, Client(url, token, ca_file) as client:
        client.userinfo()
    assert SECRET_PART not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.remedy
    return raised.value


def test_an_api_that_is_not_there_is_named() -> None:
    with socket.socket() as unused:  # bound, so that nobody takes the port, and not listening
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        error = failure(f"http://127.0.0.1:{port}")
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "api-unreachable")
    assert f"http://127.0.0.1:{port}" in error.message
    assert "refused" in error.message.lower()
    assert "aditus serve" in error.remedy


def test_a_name_that_does_not_resolve_is_told() -> None:
    error = failure("http://aditus.invalid")
    assert (error.reason, "aditus.invalid" in error.message) == ("api-unreachable", True)


def test_an_api_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert (error.reason, "in time" in error.message) == ("api-unreachable", True)


@pytest.mark.parametrize(
    "response",
    [
        PlainTextResponse("<h1>It works!</h1>"),
        PlainTextResponse("blocked by your proxy", 403),
        PlainTextResponse("", 502),
        PlainTextResponse(b"\xff\xfe\xff", 200),
        RedirectResponse("https://elsewhere.example/"),
        JSONResponse({"detail": "Not Found"}, 404),
        JSONResponse({"type": "urn:aditus:problem:new-code", "reason": "r", "detail": "d"}, 400),
        JSONResponse([], 404),
        JSONResponse({"name": "x"}),
        JSONResponse({"caller_id": 1, "name": [], "organizations": [], "subscriptions": []}),
        JSONResponse(None),
    ],
)
def test_an_answer_that_is_not_of_aditus_is_told_so(response: Response) -> None:
    with served(response) as port:
        error = failure(f"http://127.0.0.1:{port}")
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "not-aditus")
    assert "proxy" in error.remedy


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_ANSWER", 1000)
    with served(PlainTextResponse("x" * 1001)) as port:
        assert failure(f"http://127.0.0.1:{port}").reason == "not-aditus"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://h",
        "http://",
        "http://u:hunter2@h",
        "http://h/?q=1",
        "http://h:x",
        "http://[::1",
    ],
)
def test_an_address_has_its_form(url: str) -> None:
    error = failure(url)
    assert (error.code, error.reason, error.field) == (Code.INVALID, "bad-api-url", "api_url")
    assert "hunter2" not in str(error)


def test_a_mistyped_token_is_found_without_asking() -> None:
    error = failure("http://127.0.0.1:1", TOKEN[:-1] + "!")
    assert (error.code, error.field) == (Code.INVALID, "token")


def test_nobodys_proxy_leads_to_this_machine(
    plane: ControlPlane, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Client(api_url, plane.token) as client:
        assert client.userinfo().name == "owner@localhost"


# --- TLS ---


@pytest.fixture
def files(tmp_path: Path) -> devca.DevTls:
    return devca.ensure(tmp_path, ["127.0.0.1", "localhost"], time.time())


@pytest.fixture
def tls_url(plane: ControlPlane, files: devca.DevTls) -> Iterator[str]:
    with served(create_app(plane.services), files.certificate, files.key) as port:
        yield f"https://127.0.0.1:{port}"


def test_a_ca_that_is_named_is_trusted(plane: ControlPlane, tls_url: str, files: devca.DevTls) -> None:
    with Client(tls_url, plane.token, files.ca) as client:
        assert client.userinfo().name == "owner@localhost"


def test_a_ca_of_the_environment_is_trusted(
    plane: ControlPlane, tls_url: str, files: devca.DevTls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(files.ca))
    with Client(tls_url, plane.token) as client:
        assert client.userinfo().name == "owner@localhost"


def test_a_stranger_is_not_trusted(tls_url: str) -> None:
    error = failure(tls_url)
    assert (error.code, error.reason) == (Code.UNAVAILABLE, "api-certificate")
    assert tls_url in error.message
    assert "--ca-file" in error.remedy


def test_a_ca_file_holds_certificates(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "missing.pem"):
        error = failure("https://127.0.0.1:1", ca_file=tmp_path / name)
        assert (error.code, error.reason, error.field) == (Code.INVALID, "bad-ca-file", "ca_file")


def test_a_plain_server_behind_https_is_told(plane: ControlPlane, api_url: str) -> None:
    assert failure(api_url.replace("http:", "https:")).reason == "api-unreachable"
