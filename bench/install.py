"""Where the bench's programs come from: this machine, its package manager, `go` or `cargo`.

What is built stays in `$XDG_CACHE_HOME/aditus-bench` (`~/.cache/aditus-bench`), by version, and is found
there the next time. What cannot be had is an `Unavailable` with the reason in one line.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")  # not always on the path of a user
INSTALL_SECONDS = 1_200.0
"""How long one program may take to be installed; a build on a small machine takes minutes."""


class Unavailable(Exception):
    """A program cannot be had on this machine; the text says which and why, in one line."""


def debian(program: str, package: str) -> Path:
    """A program of this machine, installed as root from its Debian package where it is missing."""
    found = _which(program)
    if found is None:
        apt = shutil.which("apt-get")
        if apt is None or os.geteuid() != 0:
            raise Unavailable(f"{program} is not installed; its Debian package is {package}")
        # Without a runlevel no service of the package is started.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = [apt, "install", "-q", "-y", "--no-install-recommends", package]
        try:
            _run(install, quiet)
        except Unavailable:  # a fresh machine knows no packages yet
            _run([apt, "update", "-q"], quiet)
            _run(install, quiet)
        found = _which(program)
        if found is None:
            raise Unavailable(f"the package {package} has no program {program}")
    return found


def go(module: str, version: str, commands: Mapping[str, str], tags: str = "") -> Path:
    """The folder with programs of a Go module: `commands` has the package in the module of each."""
    folder = cache() / f"{Path(module).name}-{version}"
    if not all((folder / name).is_file() for name in commands):
        tool = _which("go")
        if tool is None:
            raise Unavailable(f"{module} has to be built, and there is no go")
        folder.mkdir(parents=True, exist_ok=True)
        flags = ["-trimpath", "-buildvcs=false", f"-tags={tags}", "-ldflags=-s -w"]
        try:
            packages = [f"{module}/{package}".rstrip("/.") + f"@{version}" for package in commands.values()]
            _run([str(tool), "install", *flags, *packages], {"GOBIN": str(folder)})
        except Unavailable:  # go install refuses modules with `replace`, and needs the list of versions
            _go_build(tool, f"{module}@{version}", commands, flags, folder)
    return folder


def cargo(crate: str, version: str, features: Sequence[str]) -> Path:
    """The program of a Rust crate with the same name, with these of its features alone."""
    folder = cache() / f"{crate}-{version}"
    program = folder / "bin" / crate
    if not program.is_file():
        tool = _which("cargo") or _which(str(Path.home() / ".cargo" / "bin" / "cargo"))
        if tool is None:
            raise Unavailable(f"{crate} has to be built, and there is no cargo")
        install = [str(tool), "install", crate, "--version", version, "--root", str(folder)]
        chosen = ["--no-default-features", "--features", ",".join(features)]
        try:
            _run([*install, *chosen, "--locked"])
        except Unavailable:  # what it locked may be too old for this compiler
            _run([*install, *chosen])
    return program


def version(command: Sequence[str | Path]) -> str:
    """The first line that a program says when it is asked for its version."""
    asked = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return next((line.strip() for line in asked.stdout.splitlines() if line.strip()), "unknown")


def cache() -> Path:
    """The folder of what was built."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aditus-bench"


def _go_build(tool: Path, module: str, commands: Mapping[str, str], flags: list[str], folder: Path) -> None:
    source = json.loads(_run([str(tool), "mod", "download", "-json", module]))["Dir"]
    copy = folder / "source"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(source, copy)
    _run(["chmod", "-R", "u+w", str(copy)])  # the module cache is read-only
    try:
        for name, package in commands.items():
            _run([str(tool), "build", *flags, "-o", str(folder / name), f"./{package}"], folder=copy)
    finally:
        shutil.rmtree(copy)


def _which(program: str) -> Path | None:
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    found = shutil.which(program, path=path)
    return Path(found) if found else None


def _run(command: list[str], env: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Run it at the lowest priority; what it printed. `Unavailable` with its last line when it fails."""
    try:
        done = subprocess.run(
            ["nice", "-n", "19", *command],
            env=os.environ | dict(env or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"{Path(command[0]).name} {command[1]} took more than {INSTALL_SECONDS:.0f} s"
        ) from None
    if done.returncode:
        said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Unavailable(
            f"{Path(command[0]).name} {command[1]} failed: {said[-1] if said else 'no word why'}"
        )
    return done.stdout
