"""The folder of `aditus serve`: made if need be, writable, and held by one process alone."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from aditus.domain.errors import invalid
from aditus.domain.keytext import SecretText

LOCK = "lock"
OWNER_TOKEN = "owner.token"


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """The folder, locked while the block runs. Raises `AditusError` when it cannot be used."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a+")
    except OSError as error:
        raise invalid(
            "data-folder",
            f"The data folder {folder} cannot be used: {(error.strerror or 'it failed').lower()}.",
            remedy="Give --data a folder that this user may write to.",
            field="data",
        ) from error
    with lock:
        if not _lock(lock):
            raise invalid(
                "data-folder-locked",
                f"The data folder {folder} is used by another process.",
                remedy="Stop that `aditus serve` first, or give this one another --data.",
                field="data",
            )
        yield folder


def write_owner_token(folder: Path, token: SecretText) -> Path:
    """Write owner.token (mode 0600), durably: it is handed over before the owner is committed."""
    path = folder / OWNER_TOKEN
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token.reveal() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path


def _lock(file: IO[str]) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
