"""Profiles: stored under a name, found again, and read from tibtunnel's folder too."""

import os
import stat
from pathlib import Path

import pytest

from aditus.config.profiles import Profile, find_profile, profile_name, profile_names, store_profile
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import AditusError, Code
from tests.config.given import OTHER_SECRET, SECRET, secret_parts, surroundings, write


def test_what_is_stored_is_found(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    path = store_profile("default", SECRET, RelayUrl("relay.example.com"), None, around)
    assert path == tmp_path / ".aditus" / "credentials"
    assert path.read_text() == f"[default]\naccessKey={SECRET.reveal()}\nrelay=wss://relay.example.com\n"
    assert find_profile("default", None, around) == Profile(
        "default", path, SECRET, "wss://relay.example.com"
    )


def test_a_relay_can_be_stored_later_and_a_key_replaced(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    store_profile("eu", SECRET, None, None, around)
    store_profile("eu", None, RelayUrl("::1", 8443), None, around)
    path = store_profile("eu", OTHER_SECRET, None, None, around)
    assert find_profile("eu", None, around) == Profile("eu", path, OTHER_SECRET, "wss://[::1]:8443")


def test_another_folder_is_the_only_one_looked_at(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    store_profile("default", SECRET, None, None, around)
    assert find_profile("default", tmp_path / "elsewhere", around) is None
    path = store_profile("default", OTHER_SECRET, None, tmp_path / "elsewhere", around)
    assert path == tmp_path / "elsewhere" / "credentials"
    found = find_profile("default", tmp_path / "elsewhere", around)
    assert found is not None
    assert found.access_key == OTHER_SECRET


def test_a_folder_of_ones_own_needs_no_home(tmp_path: Path) -> None:
    around = surroundings(None)
    store_profile("default", SECRET, None, tmp_path, around)
    assert find_profile("default", tmp_path, around)
    with pytest.raises(AditusError, match="no home folder") as caught:
        find_profile("default", None, around)
    assert "--config-dir" in caught.value.remedy


@pytest.mark.parametrize("spelling", ["accessKey", "accesskey", "ACCESSKEY"])
def test_the_file_of_tibtunnel_is_read_after_ours_and_never_written(tmp_path: Path, spelling: str) -> None:
    theirs = write(tmp_path / ".tibtunnel" / "credentials", f"[default]\n{spelling}={SECRET.reveal()}\n")
    before = theirs.read_text()
    around = surroundings(tmp_path)
    found = find_profile("default", None, around)
    assert found is not None
    assert (found.access_key, found.path) == (SECRET, theirs)

    ours = store_profile("default", OTHER_SECRET, None, None, around)
    found = find_profile("default", None, around)
    assert found is not None
    assert (found.access_key, found.path) == (OTHER_SECRET, ours)
    assert theirs.read_text() == before


def test_the_names_of_both_files_are_known(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    write(tmp_path / ".tibtunnel" / "credentials", "[default]\naccessKey=a\n[cdash]\naccessKey=b\n")
    store_profile("eu", SECRET, None, None, around)
    store_profile("default", SECRET, None, None, around)
    assert profile_names(None, around) == ("eu", "default", "cdash")


def test_a_profile_with_a_password_says_what_to_use_instead(tmp_path: Path) -> None:
    write(
        tmp_path / ".tibtunnel" / "credentials", "[cdash]\nbasicauthUser=admin\nbasicauthPassword=hunter2\n"
    )
    with pytest.raises(AditusError) as caught:
        find_profile("cdash", None, surroundings(tmp_path))
    assert caught.value.reason == "basic-auth"
    assert "aditus configure" in caught.value.remedy
    assert "hunter2" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="mode bits say nothing elsewhere")
def test_a_file_that_others_can_read_warns_and_is_closed_by_the_next_write(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    path = store_profile("default", SECRET, None, None, around)
    path.chmod(0o644)
    found = find_profile("default", None, around)
    assert found is not None
    assert [notice for notice in found.notices if "mode 0644" in notice]
    store_profile("default", None, RelayUrl("h"), None, around)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_profile_can_be_printed_without_its_secret(tmp_path: Path) -> None:
    around = surroundings(tmp_path)
    store_profile("default", SECRET, None, None, around)
    found = find_profile("default", None, around)
    assert not any(part in repr(found) + str(found) for part in secret_parts())


@pytest.mark.parametrize("name", ["", " ", " a", "a ", "a]b", "a\nb", "a\tb", "a\u202eb", "x" * 101])
def test_a_name_that_would_not_stand_in_the_file_is_refused(name: str) -> None:
    with pytest.raises(AditusError) as caught:
        profile_name(name)
    assert caught.value.code is Code.INVALID


@pytest.mark.parametrize("name", ["default", "DEFAULT", "eu 1", "[x", "#1", "über", "a=b:c"])
def test_any_visible_name_comes_back(tmp_path: Path, name: str) -> None:
    around = surroundings(tmp_path)
    store_profile(name, SECRET, None, None, around)
    found = find_profile(name, None, around)
    assert found is not None
    assert found.access_key == SECRET
