"""Programs are found, or built once; where that cannot be, the reason is told."""

import os
from pathlib import Path

import pytest

from bench import install

MODULE, VERSION = "example.org/peer", "v1.2.3"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a home with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "cache" / "aditus-bench"


def write_go(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `go` that does what this shell script says."""
    folder.mkdir()
    program = folder / "go"
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")


def test_a_program_that_is_there_is_found_also_outside_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = tmp_path / "peerd"
    daemon.write_text("")
    daemon.chmod(0o755)
    monkeypatch.setattr(install, "SYSTEM_FOLDERS", (str(tmp_path),))
    assert install.debian("peerd", "peer-server") == daemon


def test_without_a_package_manager_the_name_of_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(install.Unavailable, match="its Debian package is peer-server"):
        install.debian("no-such-peer", "peer-server")


def test_what_was_built_before_is_used_without_a_compiler(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = cache / f"peer-{VERSION}"
    folder.mkdir(parents=True)
    (folder / "peer").write_text("")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert install.go(MODULE, VERSION, {"peer": "."}) == folder


def test_without_a_compiler_that_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(install.Unavailable, match="there is no go"):
        install.go(MODULE, VERSION, {"peer": "."})
    with pytest.raises(install.Unavailable, match="there is no cargo"):
        install.cargo("peer", VERSION, ("tls",))


def test_a_module_that_go_install_refuses_is_built_in_a_copy(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "main.go").write_text("the source")
    script = f"""
    case $1 in
    install) echo "go.mod contains replace directives" >&2; exit 1;;
    mod) echo '{{"Dir": "{module}"}}';;
    build) while [ "$1" != -o ]; do shift; done; cp main.go "$2";;
    esac"""
    write_go(tmp_path / "tools", script, monkeypatch)
    folder = install.go(MODULE, VERSION, {"peer": "cmd/peer"})
    assert folder == cache / f"peer-{VERSION}"
    assert [path.name for path in folder.iterdir()] == ["peer"], "the copy has gone"
    assert (folder / "peer").read_text() == "the source"


def test_a_build_that_fails_says_why_in_one_line(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_go(tmp_path / "tools", "echo first; echo 'no such module' >&2; exit 1", monkeypatch)
    with pytest.raises(install.Unavailable, match=r"^go mod failed: no such module$"):
        install.go(MODULE, VERSION, {"peer": "."})
