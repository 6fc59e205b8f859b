"""Which API is asked, as whom; and that a token goes to no other API than its own."""

import stat
from pathlib import Path

import pytest

from aditus.config.admin import AdminConfig, admin_config, api_url, store_admin
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SecretText, format_token
from tests.config.given import SECRET, TOKEN, secret_parts, surroundings, write

API = "https://aditus.example.com"
OTHER_TOKEN = format_token("ZyXwVu987654", bytes(range(3, 35)))


def refused(call: object, *args: object) -> AditusError:
    assert callable(call)
    with pytest.raises(AditusError) as caught:
        call(*args)
    assert caught.value.code is Code.INVALID
    assert caught.value.remedy
    return caught.value


def test_a_login_is_remembered_for_the_owner_alone(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    path = store_admin(API, TOKEN, tmp_path / "ca.pem", around)
    assert path == tmp_path / ".aditus" / "admin.ini"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert admin_config(None, None, None, around) == AdminConfig(API, TOKEN, tmp_path / "ca.pem")


def test_a_second_login_forgets_the_first(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    store_admin(API, TOKEN, tmp_path / "ca.pem", around)
    store_admin("http://127.0.0.1:8080", OTHER_TOKEN, None, around)
    assert admin_config(None, None, None, around) == AdminConfig("http://127.0.0.1:8080", OTHER_TOKEN, None)


def test_options_go_before_the_environment_and_that_before_the_login(tmp_path: Path) -> None:
    store_admin(API, TOKEN, None, surroundings(tmp_path))
    file = write(tmp_path / "token", OTHER_TOKEN.reveal())
    env = {"ADITUS_API": "http://localhost:1", "ADITUS_TOKEN": TOKEN.reveal()}
    around = surroundings(tmp_path, **env)
    assert admin_config(None, None, None, around) == AdminConfig("http://localhost:1", TOKEN, None)
    assert admin_config("http://[::1]:2", str(file), Path("ca"), around) == AdminConfig(
        "http://[::1]:2", OTHER_TOKEN, Path("ca")
    )


def test_the_stored_token_goes_to_the_api_it_was_stored_for_and_to_no_other(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    store_admin(API, TOKEN, None, around)
    assert admin_config("HTTPS://Aditus.Example.com/", None, None, around).token == TOKEN
    error = refused(admin_config, "https://evil.example.com", None, None, around)
    assert error.reason == "no-token"


def test_scripts_need_no_home(tmp_path: Path) -> None:
    around = surroundings(None, ADITUS_API="http://127.0.0.1:8080", ADITUS_TOKEN=TOKEN.reveal())
    assert admin_config(None, None, None, around) == AdminConfig("http://127.0.0.1:8080", TOKEN, None)


def test_nothing_known_says_what_to_do(tmp_path: Path) -> None:
    assert "aditus login" in refused(admin_config, None, None, None, surroundings(tmp_path)).remedy
    assert refused(admin_config, API, None, None, surroundings(tmp_path)).reason == "no-token"


def test_a_login_that_others_can_read_warns(tmp_path: Path) -> None:
    store_admin(API, TOKEN, None, surroundings(tmp_path)).chmod(0o640)
    assert "chmod 600" in admin_config(None, None, None, surroundings(tmp_path)).notices[0]


def test_a_configuration_can_be_printed_without_its_token(tmp_path: Path) -> None:
    config = AdminConfig(API, TOKEN, None)
    assert not any(part in repr(config) for part in secret_parts(TOKEN))


@pytest.mark.parametrize(
    "text", [SECRET.reveal(), TOKEN.reveal()[:-1], "hunter2"], ids=["access key", "cut off", "password"]
)
def test_what_is_no_token_is_refused_with_its_place_and_without_echo(tmp_path: Path, text: str) -> None:
    error = refused(admin_config, API, None, None, surroundings(tmp_path, ADITUS_TOKEN=text))
    assert "from ADITUS_TOKEN" in error.message
    assert text not in str(error)
    path = store_admin(API, SecretText(text), None, surroundings(tmp_path))
    error = refused(admin_config, None, None, None, surroundings(tmp_path))
    assert f"from {path}" in error.message
    assert text not in str(error)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://Aditus.Example.com/", "https://aditus.example.com"),
        (" https://h:8443 ", "https://h:8443"),
        ("https://h/aditus/", "https://h/aditus"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost", "http://localhost"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_an_api_has_one_form(text: str, url: str) -> None:
    assert api_url(text) == url


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "bad-api-url"),
        ("aditus.example.com", "bad-api-url"),
        ("ftp://h", "bad-api-url"),
        ("https://", "bad-api-url"),
        ("https://user:hunter2@h", "bad-api-url"),
        ("https://h?hunter2", "bad-api-url"),
        ("https://h:no", "bad-api-url"),
        ("https://[::1", "bad-api-url"),
        ("http://aditus.example.com", "clear-api-url"),
        ("http://10.0.0.1:8080", "clear-api-url"),
    ],
)
def test_no_token_travels_in_the_clear_or_to_nowhere(text: str, reason: str) -> None:
    error = refused(api_url, text)
    assert error.reason == reason
    assert "hunter2" not in str(error)
