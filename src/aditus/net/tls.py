"""TLS contexts for both sides: what is trusted, and what is offered."""

import ssl
import time
from pathlib import Path

from aditus.domain.errors import AditusError, invalid


def client_context(ca_file: Path | None = None, shown: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Verify servers against the system's CAs (`SSL_CERT_FILE`, `SSL_CERT_DIR`), and `ca_file` as well.

    `shown`: the certificate chain and the key (PEM, not encrypted) for servers that want one.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable(f"CA file {ca_file}", error) from error
    if shown is not None:
        _load(context, *shown)
    return context


def server_context(cert: Path, key: Path) -> ssl.SSLContext:
    """Serve this certificate chain (PEM, leaf first) with its private key (PEM, not encrypted)."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, cert, key)
    return context


def refuses_ours(error: ssl.SSLError) -> bool:
    """Whether the other side ended TLS for want of a certificate of ours that it trusts."""
    return error.reason in _ABOUT_OURS


def says_time(error: ssl.SSLCertVerificationError) -> str:
    """Half a sentence if a certificate is not valid yet, or any more, by our clock; else nothing."""
    if error.verify_code not in (_NOT_YET_VALID, _EXPIRED):
        return ""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"{error.verify_message} by the clock of this machine, which says {now}"


def is_of_tomorrow(error: ssl.SSLCertVerificationError) -> bool:
    """Whether a certificate is not valid yet by our clock, which is likely to be behind."""
    return error.verify_code == _NOT_YET_VALID


_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_ABOUT_OURS = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED",
        "SSLV3_ALERT_CERTIFICATE_REVOKED",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    }
)
"""Alerts that only a server sends which asked us for a certificate, by OpenSSL's names."""


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    try:
        context.load_cert_chain(cert, key, password=_refuse_password)
    except _EncryptedKeyError:
        raise invalid(
            "encrypted-key",
            f"The private key in {key} is encrypted, and there is nobody to ask for its password.",
            remedy=f"Decrypt it into a file of mode 0600: (umask 077; openssl pkey -in {key} -out plain.pem)",
        ) from None
    except (OSError, ssl.SSLError) as error:
        raise _unreadable(f"certificate {cert} with the key {key}", error) from error


class _EncryptedKeyError(Exception):
    """Raised instead of asking for a password."""


def _refuse_password() -> str:
    raise _EncryptedKeyError


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
