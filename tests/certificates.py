"""Certificates of agents, for balancers that want one. Needs `openssl`."""

import subprocess
import time
from pathlib import Path

from aditus.crypto import devca


def openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


def issued(folder: Path, *, in_one_file: bool = False) -> tuple[Path, Path, Path]:
    """An authority for agents, a certificate by it, and its key."""
    folder.mkdir()
    authority = devca.new_authority(time.time())
    key = folder / "key.pem"
    openssl(
        folder, "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out request.pem"
        " -subj /CN=agent",
    )  # fmt: skip
    (folder / "ca.pem").write_bytes(authority.certificate)
    (folder / "ca-key.pem").write_bytes(authority.key)
    cert = folder / "cert.pem"
    openssl(
        folder, "x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -set_serial 1 -days 2 -out cert.pem"
    )
    if in_one_file:
        cert.write_text(cert.read_text() + key.read_text())
        key = cert
    return folder / "ca.pem", cert, key
