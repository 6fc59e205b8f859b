"""Small files that people keep: INI files and secrets. Every failure names the file and never its content."""

import configparser
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aditus.config.surroundings import Surroundings
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import SecretText

MAX_BYTES = 1024 * 1024  # of one file; thousands of profiles fit in
STDIN = "-"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"

_HEADER = re.compile(r"\[(.+)\]")  # as configparser reads it, of a line without outer blanks

Sections = Mapping[str, Mapping[str, str]]


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file. Raises `AditusError` (invalid), and `FileNotFoundError` as it is."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _unusable(path, f"is larger than {MAX_BYTES // 1024} KiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unusable(path, f"is not UTF-8 text (line {line})") from None


def read_secret(name: str, option: str, surroundings: Surroundings) -> tuple[SecretText, tuple[str, ...]]:
    """What stands in the file `name` (`-`: stdin), unchecked, and warnings. Raises `AditusError`."""
    if name == STDIN:
        return SecretText(surroundings.stdin.read(MAX_BYTES).strip()), ()
    path = Path(name)
    # systemd hands a credential over to this program alone, by an access list that makes its mode look open.
    is_credential = str(path.parent) == surroundings.variable(CREDENTIALS_VARIABLE)
    try:
        return SecretText(read_text(path).strip()), () if is_credential else open_to_others(path)
    except FileNotFoundError:
        raise invalid(
            "no-such-file",
            f"{option}: there is no file {path}.",
            remedy="Name the file that has the secret in it, or - for standard input.",
            field=option.removeprefix("--").replace("-", "_"),
        ) from None


def changeable_by_others(path: Path) -> tuple[str, ...]:
    """A warning if the group may change this file. Raises `AditusError` (invalid) if everybody may."""
    mode = path.stat().st_mode & 0o777 if os.name == "posix" else 0
    if mode & 0o002:
        raise invalid(
            "open-file",
            f"Every user here may change {path} (mode {mode:04o}), and with it what is dialled.",
            remedy=f"Look at what stands in it, then run: chmod 600 {path}",
            field="file",
        )
    return (f"the group may change {path} (mode {mode:04o}); run: chmod g-w {path}",) if mode & 0o020 else ()


def open_to_others(path: Path) -> tuple[str, ...]:
    """A warning if others than the owner may read or change this file, else nothing."""
    if os.name != "posix":
        return ()  # there, the mode bits say nothing
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return ()
    return (f"{path} holds a secret and is open to others (mode {mode:04o}); run: chmod 600 {path}",)


def read_ini(path: Path) -> Sections:
    """Sections with their options, names of options in lower case; empty when there is no such file.

    Raises `AditusError` (invalid) with the line that is wrong.
    """
    try:
        return parse_ini(read_text(path), path)
    except FileNotFoundError:
        return {}


def parse_ini(text: str, path: Path) -> Sections:
    """As `read_ini`, of a text that stands or will stand in `path`."""
    # No section is special: [DEFAULT] is a profile like the others, and passes nothing on.
    parser = configparser.RawConfigParser(default_section="\n", strict=True)
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        raise _unusable(path, f"begins without a [section] (line {error.lineno})") from None
    except configparser.ParsingError as error:
        raise _unusable(
            path, f"has neither a [section] nor a name=value in line {error.errors[0][0]}"
        ) from None
    except configparser.DuplicateSectionError as error:
        raise _unusable(path, f"has the section of line {error.lineno} twice") from None
    except configparser.DuplicateOptionError as error:
        raise _unusable(path, f"has the name of line {error.lineno} twice in its section") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def update_ini(path: Path, section: str, values: Mapping[str, str]) -> None:
    """Set these values in a section, leaving all else as people wrote it; the file is replaced in one step.

    It gets mode 0600, and its folder is made (0700) where it is missing. Raises `AditusError` (invalid).
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        text = ""
    parse_ini(text, path)  # what cannot be read is not to be overwritten either
    text = _with_values(text, section, values)
    parse_ini(text, path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path.resolve(), text)  # a link stays a link
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from error


def _with_values(text: str, section: str, values: Mapping[str, str]) -> str:
    new = [f"{name}={value}" for name, value in values.items()]
    lines = text.removesuffix("\n").split("\n") if text else []
    headers = {i: found[1] for i, line in enumerate(lines) if (found := _HEADER.match(line.strip()))}
    start = next((i for i, name in headers.items() if name == section), None)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        return "\n".join([*lines, *gap, f"[{section}]", *new, ""])
    end = min((i for i in headers if i > start), default=len(lines))
    while not lines[end - 1].strip():
        end -= 1  # the gap before the next section
    kept = _without(lines[start + 1 : end], {name.lower() for name in values})
    # Last, because a line that is indented would go on with the value before it.
    return "\n".join([*lines[: start + 1], *kept, *new, *lines[end:], ""])


def _without(lines: list[str], names: set[str]) -> list[str]:
    kept = []
    option_indent: int | None = None
    is_kept = True
    for line in lines:
        bare = line.lstrip()
        if not bare or bare[0] in "#;":
            kept.append(line)
            continue
        indent = len(line) - len(bare)
        if option_indent is None or indent <= option_indent:  # else the value before goes on
            option_indent = indent
            is_kept = re.split("[=:]", bare)[0].strip().lower() not in names
        if is_kept:
            kept.append(line)
    return kept


def _replace(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile(  # mode 0600
        "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            file.close()  # Windows renames no open file
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    if os.name == "posix":  # the new name must outlive a power cut, too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _unusable(path: Path, why: str) -> AditusError:
    return invalid(
        "bad-file", f"The file {path} {why}.", remedy="Correct it, or name another one.", field="file"
    )
