"""A certificate for the peers that need one: self-signed, ECDSA P-256 as Aditus's own, for loopback."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import install
from bench.programs import Place

PASSWORD = "bench"  # rathole insists on one; it protects a key that lives for minutes in a private folder


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files of a certificate (its own CA), its key and both in one; and both as PKCS #12."""

    cert: Path
    key: Path
    both: Path
    pkcs12: Path


def make(place: Place) -> Certificate:
    """A new one, in the folder of this place."""
    openssl = str(install.debian("openssl", "openssl"))
    cert, key, pkcs12 = (place.write(f"tls.{kind}", "") for kind in ("cert", "key", "p12"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    _run([openssl, "req", "-x509", *curve, *names, "-keyout", str(key), "-out", str(cert)])
    export = ["-export", "-inkey", str(key), "-in", str(cert), "-passout", f"pass:{PASSWORD}"]
    _run([openssl, "pkcs12", *export, "-out", str(pkcs12)])
    both = place.write("tls.pem", cert.read_text() + key.read_text())
    return Certificate(cert, key, both, pkcs12)


def _run(command: list[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True)
