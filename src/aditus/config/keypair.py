"""Key pairs that are made where they are used: files with the private half, and with the public one."""

import base64
import os
from pathlib import Path

from aditus.config.files import MAX_BYTES, STDIN, open_to_others, read_text
from aditus.config.surroundings import Surroundings
from aditus.crypto.keys import generate_pair, private_pem, public_of_pem, public_of_text, secret_of_pem
from aditus.domain.errors import AditusError, invalid
from aditus.domain.keytext import format_access_key, format_app_secret


def make_pair(file: Path) -> str:
    """Write a new private key to a new file (mode 0600); the public one, base64url.

    Raises `AditusError` (invalid) `file-exists` and `file-unwritable`.
    """
    pair = generate_pair()
    _write_new(file, private_pem(pair.secret))
    return base64.urlsafe_b64encode(pair.public).decode().rstrip("=")


def make_secret(file: Path, key_id: str, region: str | None, out: Path) -> tuple[str, ...]:
    """Write the secret access key of the private key in `file` to a new file; warnings.

    Without a region it is the secret of an app's credential, and `key_id` its credential_id. Raises
    `AditusError` (invalid).
    """
    try:
        secret = secret_of_pem(read_text(file).encode())
    except FileNotFoundError:
        raise _no_file(file) from None
    except ValueError:
        raise invalid(
            "bad-private-key",
            f"The file {file} has no Ed25519 private key in it, or an encrypted one.",
            remedy="Name a file of `aditus keypair`, or of `openssl genpkey -algorithm ed25519`.",
            field="file",
        ) from None
    try:
        if region is None:
            text = format_app_secret(key_id, secret)
        else:
            text = format_access_key(region, key_id, secret)
    except ValueError as error:
        raise invalid(
            "bad-key-id",
            f"The id or the region cannot be right: {error}.",
            remedy="Copy them from what `aditus keys generate` or `aditus apps credential` printed.",
            field="key_id",
        ) from None
    _write_new(out, text.reveal().encode() + b"\n")
    return open_to_others(file)


def read_public_key(file: str, surroundings: Surroundings) -> bytes:
    """The raw public key (32 bytes) in a file, or stdin (`-`): base64url, or PEM. Raises `AditusError`."""
    try:
        text = surroundings.stdin.read(MAX_BYTES) if file == STDIN else read_text(Path(file))
    except FileNotFoundError:
        raise _no_file(Path(file)) from None
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise invalid(
            "private-key",
            "This is a private key; it stays where it is.",
            remedy="Give the public one: `aditus keypair` prints it, so does openssl pkey -pubout.",
            field="public_key",
        )
    try:
        return public_of_pem(text.encode()) if text.startswith("-----BEGIN") else public_of_text(text)
    except ValueError:
        raise invalid(
            "bad-public-key",
            "There is no Ed25519 public key in it.",
            remedy="It is 43 characters of A-Z, a-z, 0-9, - and _, or PEM.",
            field="public_key",
        ) from None


def _write_new(file: Path, content: bytes) -> None:
    """Make the file, for its owner alone; one that exists is never touched."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise invalid(
            "file-exists",
            f"The file {file} exists, and a secret is never overwritten.",
            remedy="Choose another name, or move the file away.",
            field="file",
        ) from None
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        file.unlink(missing_ok=True)  # half of a secret is of no use
        raise _unwritable(file, error) from error


def _no_file(file: Path) -> AditusError:
    return invalid(
        "no-such-file", f"There is no file {file}.", remedy="Name the file that has the key.", field="file"
    )


def _unwritable(file: Path, error: OSError) -> AditusError:
    return invalid(
        "file-unwritable",
        f"The file {file} cannot be written: {(error.strerror or 'it failed').lower()}.",
        remedy="Choose a folder that you may write to.",
        field="file",
    )
