"""The small files of people: read with the line that is wrong, written in one step, never echoed."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.config import files
from aditus.config.files import MAX_BYTES, open_to_others, parse_ini, read_ini, read_secret, update_ini
from aditus.domain.errors import AditusError, Code
from tests.config.given import SECRET, secret_parts, surroundings, write

posix = pytest.mark.skipif(os.name != "posix", reason="mode bits say nothing elsewhere")


# --- reading ----------------------------------------------------------------------------------


def test_no_file_has_no_sections(tmp_path: Path) -> None:
    assert read_ini(tmp_path / "none") == {}


def test_names_have_no_case_and_sections_pass_nothing_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c",
        "# a word\n[DEFAULT]\nAccessKey = a%(b)s\n\n[x y]\n  relay: wss://h\n  accesskey=c;d\n",
    )
    assert read_ini(path) == {
        "DEFAULT": {"accesskey": "a%(b)s"},
        "x y": {"relay": "wss://h", "accesskey": "c;d"},
    }


def test_a_windows_editor_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"\xef\xbb\xbf[default]\r\naccessKey=x\r\n")
    assert read_ini(path) == {"default": {"accesskey": "x"}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"accessKey={SECRET.reveal()}\n", 1),
        (f"\n\n{SECRET.reveal()}\n", 3),
        (f"[a]\nx=1\n{SECRET.reveal()}\n", 3),
        (f"[a]\naccessKey=1\naccesskey={SECRET.reveal()}\n", 3),
        (f"[a]\nx=1\n[{SECRET.reveal()}]\n[{SECRET.reveal()}]\n", 4),
    ],
)
def test_a_damaged_file_is_refused_by_line_and_never_by_content(tmp_path: Path, text: str, line: int) -> None:
    path = write(tmp_path / "c", text)
    with pytest.raises(AditusError) as caught:
        read_ini(path)
    assert caught.value.code is Code.INVALID
    assert f"line {line}" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not any(part in str(caught.value) for part in secret_parts())
    assert caught.value.__suppress_context__  # configparser's own text has the line in it


def test_bytes_that_are_no_text_are_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(b"[a]\nx=\xff\n")
    with pytest.raises(AditusError, match=r"not UTF-8 text \(line 2\)"):
        read_ini(path)


def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = write(tmp_path / "c", "#" * (MAX_BYTES + 1))
    with pytest.raises(AditusError, match="larger than 1024 KiB"):
        read_ini(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="cannot be read"):
        read_ini(tmp_path)


# --- secrets ----------------------------------------------------------------------------------


def test_a_secret_stands_in_a_file_or_comes_on_stdin(tmp_path: Path) -> None:
    path = write(tmp_path / "key", f"{SECRET.reveal()}\n")
    around = surroundings(tmp_path, stdin=f"{SECRET.reveal()}\n")
    assert read_secret(str(path), "--access-key-file", around) == (SECRET, ())
    assert read_secret("-", "--access-key-file", around) == (SECRET, ())


def test_a_missing_secret_file_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(AditusError, match="--access-key-file: there is no file") as caught:
        read_secret(str(tmp_path / "key"), "--access-key-file", surroundings(tmp_path))
    assert caught.value.field == "access_key_file"


@posix
@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_secret_that_others_can_read_warns(tmp_path: Path, mode: int, warns: bool) -> None:
    path = write(tmp_path / "key", SECRET.reveal(), mode)
    notices = open_to_others(path)
    assert bool(notices) is warns
    assert all(f"mode {mode:04o}" in notice and f"chmod 600 {path}" in notice for notice in notices)


@posix
def test_a_secret_that_systemd_hands_over_does_not(tmp_path: Path) -> None:
    """Its access list shows as a mode with rights for the group."""
    path = write(tmp_path / "access-key", SECRET.reveal(), 0o440)
    by_systemd = surroundings(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert read_secret(str(path), "--access-key-file", by_systemd) == (SECRET, ())
    by_hand = surroundings(tmp_path)
    assert "mode 0440" in read_secret(str(path), "--access-key-file", by_hand)[1][0]


# --- writing ----------------------------------------------------------------------------------


@posix
def test_a_new_file_and_its_folder_are_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".aditus" / "credentials"
    before = os.umask(0)
    try:
        update_ini(path, "default", {"accessKey": "x"})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text() == "[default]\naccessKey=x\n"


@posix
def test_a_file_that_was_open_to_others_is_so_no_longer(tmp_path: Path) -> None:
    path = write(tmp_path / "c", "[a]\nx=1\n", 0o644)
    update_ini(path, "a", {"x": "2"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_people_wrote_stays_as_it_is(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c",
        """\
# our keys

[eu]
; the first
ACCESSKEY : old
   and more of it
relay = wss://eu
   accessKey=of the relay's value

[default]
accessKey=keep
other=1
""",
    )
    update_ini(path, "eu", {"accessKey": "new"})
    assert (
        path.read_text()
        == """\
# our keys

[eu]
; the first
relay = wss://eu
   accessKey=of the relay's value
accessKey=new

[default]
accessKey=keep
other=1
"""
    )


def test_a_new_section_comes_last(tmp_path: Path) -> None:
    path = write(tmp_path / "c", "[a]\nx=1")
    update_ini(path, "b", {"y": "2"})
    assert path.read_text() == "[a]\nx=1\n\n[b]\ny=2\n"


def test_a_damaged_file_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "c", "x=1\n")
    with pytest.raises(AditusError, match="line 1"):
        update_ini(path, "a", {"x": "2"})
    assert path.read_text() == "x=1\n"


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    path = write(tmp_path / "real", "[a]\nx=1\n")
    link = tmp_path / "link"
    link.symlink_to(path)
    update_ini(link, "a", {"x": "2"})
    assert link.is_symlink()
    assert path.read_text() == "[a]\nx=2\n"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "c", "[a]\nx=1\n")

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(AditusError, match="cannot be written: No space left on device"):
        update_ini(path, "a", {"x": "2"})
    assert path.read_text() == "[a]\nx=1\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "home", "")
    with pytest.raises(AditusError, match=r"cannot be (read|written)"):
        update_ini(tmp_path / "home" / "credentials", "a", {"x": "2"})


names = st.text("abAB xyz.-", min_size=1, max_size=4).map(str.strip).filter(bool)
values = st.text("abc=:;#[]", max_size=5).map(str.strip)
sections = st.dictionaries(
    names, st.dictionaries(names.map(str.lower), values, max_size=3), min_size=1, max_size=4
)


@given(sections, names, st.dictionaries(names, values, min_size=1, max_size=2), st.booleans())
def test_an_update_changes_its_values_and_nothing_else(
    before: dict[str, dict[str, str]], section: str, new: dict[str, str], is_indented: bool
) -> None:
    indent = "  " if is_indented else ""
    text = "".join(
        f"[{name}]\n" + "".join(f"{indent}{key} = {value}\n" for key, value in options.items())
        for name, options in before.items()
    )
    wanted = {name.lower(): value for name, value in new.items()}
    if len(wanted) < len(new):
        return  # the same name in two cases: not what anybody would ask for
    after = parse_ini(files._with_values(text, section, new), Path("c"))
    assert after == {**before, section: {**before.get(section, {}), **wanted}}
