"""A certification authority for development, and the server certificate that it issues.

`aditus serve` makes both on its first start, so that agents speak TLS from the first minute: they trust
`ca.pem`. The extensions are those that the strictest verifiers ask for (OpenSSL 3 with X509_STRICT, curl,
Chromium). For the open internet, use a certificate of a public authority instead.
"""

import datetime
import ipaddress
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aditus.domain.errors import AditusError, Code

ALWAYS = ("localhost", "127.0.0.1", "::1")
"""Names of every server certificate; others are added to them."""

CA_DAYS = 3650
LEAF_DAYS = 365  # browsers take no more than 398
RENEW_DAYS = 30
BACKDATED = datetime.timedelta(days=1)  # for agents whose clock is behind

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DevTls:
    """The files of the development certificates. Agents trust `ca`; the key files have mode 0600."""

    ca: Path
    certificate: Path
    key: Path


def ensure(folder: Path, names: Iterable[str], now: float) -> DevTls:
    """Make what is missing in `folder`, and renew the server certificate when it is time.

    `names` are hosts (IPv6 without brackets) beside `ALWAYS`; `now` is in Unix seconds. The authority is made
    once: whoever trusts it would have to be told of another. Raises `AditusError` when it is damaged or has
    expired, `OSError` when a file cannot be read or written.
    """
    files = DevTls(folder / "ca.pem", folder / "server.pem", folder / "server-key.pem")
    ca_key = folder / "ca-key.pem"
    if not files.ca.exists():
        authority = new_authority(now)
        _write(ca_key, authority.key, 0o600)  # the key first: a certificate without one is of no use
        _write(files.ca, authority.certificate, 0o644)
    wanted = tuple(names)
    if not _is_usable(files, now, wanted):
        leaf = issue(_read_authority(files.ca, ca_key, now), wanted, now)
        _write(files.key, leaf.key, 0o600)
        _write(files.certificate, leaf.certificate, 0o644)
    return files


def new_authority(now: float) -> Pair:
    """A new authority, good for ten years, that issues server certificates and no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(f"Aditus development CA {secrets.token_hex(4)}")  # several can be in one trust store
    own_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    start = _time(now)
    certificate = (
        _builder(name, name, key.public_key(), start - BACKDATED, start + datetime.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(own_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id), critical=False)
        .sign(key, SHA256())
    )
    return _pair(certificate, key)


def issue(authority: Pair, names: Iterable[str], now: float) -> Pair:
    """A server certificate for `ALWAYS` and `names`, good for a year, but no longer than the authority.

    `AditusError` (invalid) for a name that no certificate can carry.
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = load_pem_private_key(authority.key, None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority has a key of another kind")
    key = ec.generate_private_key(ec.SECP256R1())
    start = _time(now)
    end = min(start + datetime.timedelta(days=LEAF_DAYS), issuer.not_valid_after_utc)
    certificate = (
        _builder(
            _subject("Aditus development server"), issuer.subject, key.public_key(), start - BACKDATED, end
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            ),
            critical=False,
        )
        .sign(issuer_key, SHA256())
    )
    return _pair(certificate, key)


def needs_renewal(certificate: bytes, now: float, names: Iterable[str]) -> bool:
    """Whether a server certificate (PEM) ends within 30 days, has not begun, or lacks one of the names."""
    parsed = x509.load_pem_x509_certificate(certificate)
    if (
        not parsed.not_valid_before_utc.timestamp()
        <= now
        < parsed.not_valid_after_utc.timestamp() - RENEW_DAYS * _DAY
    ):
        return True
    carried = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return not set(_alternative_names(names)) <= set(carried)


def _is_usable(files: DevTls, now: float, names: Sequence[str]) -> bool:
    """Whether the server's files are there, belong together and to the authority, and are good for long."""
    try:
        pem = files.certificate.read_bytes()
        certificate = x509.load_pem_x509_certificate(pem)
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(files.ca.read_bytes()))
        return key.public_key() == certificate.public_key() and not needs_renewal(pem, now, names)
    except (FileNotFoundError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False  # torn by a crash or by hand: it is made anew, which harms nobody


def _read_authority(certificate: Path, key: Path, now: float) -> Pair:
    try:
        pair = Pair(certificate.read_bytes(), key.read_bytes())
        parsed = x509.load_pem_x509_certificate(pair.certificate)
        if load_pem_private_key(pair.key, None).public_key() != parsed.public_key():
            why = "do not belong together"
        elif parsed.not_valid_after_utc.timestamp() <= now:
            why = "have expired"
        else:
            return pair
    except FileNotFoundError:
        why = "are not both there"
    except (ValueError, TypeError):
        why = "cannot be read as certificate and key"
    raise AditusError(
        Code.INVALID,
        "dev-ca-unusable",
        f"The files of the development CA, {certificate} and {key.name}, {why}.",
        remedy=f"Restore both, or remove {certificate.name} to have a new CA made and give it to all agents.",
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    begin: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [_alternative_name(name) for name in dict.fromkeys((*ALWAYS, *names))]


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass  # not an address, so a name
    try:
        return x509.DNSName(name.lower())
    except ValueError:
        raise AditusError(
            Code.INVALID,
            "bad-host-name",
            "A name of the server cannot stand in a certificate.",
            remedy="Write it in ASCII (xn-- for other alphabets).",
            field="public_url",
        ) from None


def _time(now: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(now), datetime.UTC)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    return Pair(
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file in one step, durably, so that a crash leaves the old one or the new one."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name must outlive a power cut, too; elsewhere no folder can be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
