"""Profiles: an access key and its relay under a name, in `~/.aditus/credentials`.

    [default]
    accessKey=adt_…
    relay=wss://relay.example.com

tibtunnel's own file, `~/.tibtunnel/credentials`, has the same form and is read after ours, never written.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from aditus.config.files import open_to_others, read_ini, update_ini
from aditus.config.surroundings import Surroundings
from aditus.domain.connect_url import RelayUrl
from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText

DEFAULT = "default"
MAX_NAME = 100  # characters
FILE = "credentials"
OUR_FOLDER = ".aditus"
TIBTUNNEL_FOLDER = ".tibtunnel"


@dataclass(frozen=True, slots=True)
class Profile:
    """One section of the file at `path`. Secret and relay are as they stand there, unchecked."""

    name: str
    path: Path
    access_key: SecretText | None
    relay: str
    notices: tuple[str, ...] = ()


def profile_name(text: str) -> str:
    """`text` if it can name a profile. Raises `AditusError` (invalid), without echo."""
    if (
        not 0 < len(text) <= MAX_NAME
        or text != text.strip()
        or "]" in text
        or any(unicodedata.category(char)[0] in "CZ" and char != " " for char in text)
    ):
        raise invalid(
            "bad-profile",
            f"A profile's name has 1 to {MAX_NAME} visible characters, without ].",
            remedy="Choose another name.",
            field="profile",
        )
    return text


def find_profile(name: str, config_dir: Path | None, surroundings: Surroundings) -> Profile | None:
    """The profile of this name, in `config_dir` or else in the two places in the home folder.

    Raises `AditusError` (invalid) for a file that cannot be read or a profile with a user name and password.
    """
    name = profile_name(name)
    for path in _paths(config_dir, surroundings):
        section = read_ini(path).get(name)
        if section is None:
            continue
        if "accesskey" not in section and any(option.startswith("basicauth") for option in section):
            raise invalid(
                "basic-auth",
                f"The profile {name} in {path} has a user name and a password; Aditus takes access keys.",
                remedy="Have an access key generated, and store it: aditus configure --access-key-file -",
                field="profile",
            )
        secret = section.get("accesskey", "")
        return Profile(
            name,
            path,
            SecretText(secret) if secret else None,
            section.get("relay", ""),
            open_to_others(path) if secret else (),
        )
    return None


def profile_names(config_dir: Path | None, surroundings: Surroundings) -> tuple[str, ...]:
    """The names of all profiles that `find_profile` finds, in the order of the files."""
    return tuple(dict.fromkeys(name for path in _paths(config_dir, surroundings) for name in read_ini(path)))


def store_profile(
    name: str,
    access_key: SecretText | None,
    relay: RelayUrl | None,
    config_dir: Path | None,
    surroundings: Surroundings,
) -> Path:
    """Make or change a profile; what is None stays as it is. Returns the file. Raises `AditusError`."""
    values = {}
    if access_key is not None:
        values["accessKey"] = access_key.reveal()
    if relay is not None:
        values["relay"] = str(relay)
    path = _paths(config_dir, surroundings)[0]
    update_ini(path, profile_name(name), values)
    return path


def _paths(config_dir: Path | None, surroundings: Surroundings) -> tuple[Path, ...]:
    if config_dir is not None:
        return (config_dir / FILE,)
    return tuple(surroundings.folder(folder) / FILE for folder in (OUR_FOLDER, TIBTUNNEL_FOLDER))
