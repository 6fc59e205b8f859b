"""What the tests of this room have in common: a home folder of their own, and a good key."""

import io
from pathlib import Path

from aditus.config.surroundings import Surroundings
from aditus.domain.keytext import SecretText, format_access_key, format_token

KEY_ID = "AbCdEf012345"
SECRET: SecretText = format_access_key("eu-1", KEY_ID, bytes(range(32)))
OTHER_SECRET: SecretText = format_access_key("eu-1", "ZyXwVu987654", bytes(range(1, 33)))
TOKEN: SecretText = format_token(KEY_ID, bytes(range(2, 34)))
TYPO = SECRET.reveal()[:-1] + ("0" if SECRET.reveal()[-1] != "0" else "1")
"""A secret with its last digit wrong: still most of a secret, never to be shown."""


def surroundings(home: Path | None, stdin: str = "", **env: str) -> Surroundings:
    """A user with this home, this environment and this on stdin."""
    return Surroundings(env, home, io.StringIO(stdin))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    """A file with this text and mode, its folder being made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def secret_parts(secret: SecretText = SECRET) -> tuple[str, ...]:
    """What must be seen nowhere: the whole text, and its secret digits alone."""
    return secret.reveal(), secret.reveal().split("_")[3]
