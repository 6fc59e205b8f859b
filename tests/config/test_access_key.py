"""Where a secret comes from, in which order, and that no place gives it away."""

from pathlib import Path

import pytest

from aditus.config.access_key import find_access_key
from aditus.domain.errors import AditusError, Code
from tests.config.given import OTHER_SECRET, SECRET, TOKEN, TYPO, secret_parts, surroundings, write


def test_nothing_given_is_nothing_found(tmp_path: Path) -> None:
    assert find_access_key(None, None, surroundings(tmp_path)) is None
    assert find_access_key(None, None, surroundings(tmp_path, ADITUS_ACCESS_KEY="  ")) is None


def test_a_file_goes_before_the_environment(tmp_path: Path) -> None:
    path = write(tmp_path / "key", SECRET.reveal())
    around = surroundings(tmp_path, ADITUS_ACCESS_KEY=OTHER_SECRET.reveal())
    from_file = find_access_key(None, str(path), around)
    assert from_file is not None
    assert (from_file.secret, from_file.source, from_file.notices) == (SECRET, str(path), ())
    from_env = find_access_key(None, None, around)
    assert from_env is not None
    assert (from_env.secret, from_env.source) == (OTHER_SECRET, "ADITUS_ACCESS_KEY")


def test_stdin_is_a_file_too(tmp_path: Path) -> None:
    found = find_access_key(None, "-", surroundings(tmp_path, stdin=f"  '{SECRET.reveal()}'\n"))
    assert found is not None
    assert (found.secret, found.source) == (SECRET, "standard input")


def test_a_secret_on_the_command_line_works_and_warns(tmp_path: Path) -> None:
    found = find_access_key(SECRET.reveal(), None, surroundings(tmp_path))
    assert found is not None
    assert found.secret == SECRET
    assert "on the command line" in found.notices[0]


def test_two_secrets_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="given twice"):
        find_access_key(SECRET.reveal(), "-", surroundings(tmp_path))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TYPO, "checksum"),
        ("4Pcg4SAaDiZMghf", "begins with adt_"),
        (TOKEN.reveal(), "an API token"),
        ("x" * 5000, "too long"),
    ],
)
@pytest.mark.parametrize("place", ["--access-key", "file", "standard input", "ADITUS_ACCESS_KEY"])
def test_a_malformed_secret_is_refused_offline_with_its_place(
    tmp_path: Path, place: str, text: str, says: str
) -> None:
    path = str(write(tmp_path / "key", text))
    option = text if place == "--access-key" else None
    file = {"file": path, "standard input": "-"}.get(place)
    env = {place: text} if place == "ADITUS_ACCESS_KEY" else {}
    with pytest.raises(AditusError) as caught:
        find_access_key(option, file, surroundings(tmp_path, stdin=text, **env))
    error = caught.value
    assert error.code is Code.INVALID
    assert says in str(error)
    assert (path if place == "file" else place) in str(error)
    assert not any(part in str(error) for part in (text, *secret_parts(), *secret_parts(TOKEN)))


def test_surroundings_can_be_printed_without_their_secrets(tmp_path: Path) -> None:
    around = surroundings(tmp_path, ADITUS_ACCESS_KEY=SECRET.reveal())
    assert not any(part in repr(around) for part in secret_parts())
