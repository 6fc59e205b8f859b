"""agent.toml: the options of `aditus connect` in a file, under their own names; what is typed goes before it.

connect-urls = ["wss://relay.example.com/connect/4gT…"]
specs = ["5432:db.internal:5432", "9092:kafka.internal:9092,proxy-protocol"]
access-key-file = "access-key"
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from aditus.config.files import STDIN, changeable_by_others, open_to_others, read_text
from aditus.domain.errors import AditusError, invalid
from aditus.domain.spec import parse_spec

_Options = TypeVar("_Options", bound=Any)

_LISTS = {"specs": "specs", "connect-urls": "connect_urls"}
_TEXTS = ("profile", "relay", "proxy", "health-listen")
_PATHS = ("access-key-file", "config-dir", "log-file", "ca-file", "client-cert", "client-key")
_TRUTHS = ("infinite-retries", "debug", "payload")
_CHOICES = {"log-format": ("text", "json")}
_NUMBERS = {"links": (1, 4)}
_NAME = re.compile(r"[A-Za-z][A-Za-z_-]{0,30}")  # too short, and without digits, for a secret
_SECRETS = ("access-key", "accesskey", "secret", "secret-access-key")

KNOWN = tuple(sorted((*_LISTS, *_TEXTS, *_PATHS, *_TRUTHS, *_CHOICES, *_NUMBERS)))
"""Names that may stand in the file."""


def read_agent_file(path: Path) -> Mapping[str, Any]:
    """What stands in the file, by the names of fields of `ConnectOptions`. Raises `AditusError` (invalid).

    Paths are relative to the file's folder.
    """
    try:
        changeable_by_others(path)
        read = tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise invalid(
            "no-such-file",
            f"--config: there is no file {path}.",
            remedy="Name the file that has the agent's options in it.",
            field="config",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong(path, f"is no TOML: {error}") from None
    return {_field(name): _value(path, name, value) for name, value in read.items()}


def file_notices(path: Path, has_password: bool) -> tuple[str, ...]:
    """Warnings about who else may change the file, or read it where the password of a proxy stands in it."""
    return (*changeable_by_others(path), *(open_to_others(path) if has_password else ()))


def with_file(options: _Options, path: Path) -> _Options:
    """The options, and from the file what was not typed; specs and Connect URLs add up."""
    found = read_agent_file(path)
    typed = {one.name: getattr(options, one.name) for one in fields(options)}
    return replace(
        options,
        **{
            name: (*typed[name], *value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if typed[name] is None or isinstance(value, tuple)
        },
    )


def _field(name: str) -> str:
    return _LISTS.get(name, name.replace("-", "_"))


def _value(path: Path, name: str, value: object) -> object:
    if name in _LISTS and isinstance(value, list) and all(isinstance(one, str) for one in value):
        if name == "specs":
            _check_specs(path, value)
        return tuple(value)
    if name in _TEXTS and _is_text(value):
        return value
    if name in _PATHS and _is_text(value):
        return _path(path, name, str(value))
    if name in _TRUTHS and isinstance(value, bool):
        return value
    if name in _CHOICES and value in _CHOICES[name]:
        return value
    if name in _NUMBERS and type(value) is int and _NUMBERS[name][0] <= value <= _NUMBERS[name][1]:
        return value
    raise _wrong(path, _why(name))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


def _path(path: Path, name: str, value: str) -> object:
    if name == "access-key-file" and value == STDIN:
        return value
    try:
        found = path.parent / Path(value).expanduser()
    except RuntimeError:
        raise _wrong(path, f"has {name} in the home folder of nobody") from None
    return str(found) if name == "access-key-file" else found


def _check_specs(path: Path, texts: list[str]) -> None:
    for number, text in enumerate(texts, 1):
        try:
            parse_spec(text)
        except AditusError as error:
            raise _wrong(
                path, f"has specs of which number {number} cannot be right. {error.message}"
            ) from None


def _why(name: str) -> str:
    if name in _LISTS:
        return f"has {name} that is no list of texts"
    if name in _TRUTHS:
        return f"has {name} that is neither true nor false"
    if name in _CHOICES:
        return f"has {name} that is none of {', '.join(_CHOICES[name])}"
    if name in _NUMBERS:
        return f"has {name} that is no number from {_NUMBERS[name][0]} to {_NUMBERS[name][1]}"
    if name in KNOWN:
        return f"has {name} that is no text, or an empty one"
    if name.lower().replace("_", "-") in _SECRETS:
        return "has the secret access key itself in it; write it into a file of its own (access-key-file)"
    named = f"the option {name}" if _NAME.fullmatch(name) else "an option"
    return f"has {named}, which is unknown; there are {', '.join(KNOWN)}"


def _wrong(path: Path, why: str) -> AditusError:
    remedy = "Correct it; docs/operations.md has an example."
    return invalid("bad-agent-file", f"The file {path} {why}.", remedy=remedy, field="config")
