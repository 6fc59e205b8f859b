"""TLS contexts for both sides: what is trusted, and what is offered."""

import ssl
from pathlib import Path

from aditus.domain.errors import AditusError, invalid


def client_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Verify servers against the system's CAs (`SSL_CERT_FILE`, `SSL_CERT_DIR`), and `ca_file` as well."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable(f"CA file {ca_file}", error) from error
    return context


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Serve this certificate chain (PEM, leaf first) with its private key (PEM, not encrypted)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise _unreadable(f"certificate {cert} with the key {key}", error) from error
    return context


def _refuse_password() -> str:
    raise ValueError("the private key is encrypted")


def _unreadable(what: str, error: Exception) -> AditusError:
    why = str(error)
    if isinstance(error, ssl.SSLError):  # its text is OpenSSL's; it is an OSError, too
        why = "it is not valid PEM, or the parts do not belong together"
    elif isinstance(error, OSError) and error.strerror:
        why = error.strerror.lower()
    return invalid(
        "bad-certificate",
        f"The {what} cannot be used: {why}.",
        remedy="Give a PEM file that this user can read.",
    )
