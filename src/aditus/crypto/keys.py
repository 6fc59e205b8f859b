"""Ed25519 keys and random ids, from the operating system's entropy."""

import base64
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from aditus.domain import keytext

_P = 2**255 - 19  # the field of Ed25519, and the constant of its curve
_D = -121665 * pow(121666, -1, _P) % _P


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new Ed25519 key: `secret` is the private seed, `public` the raw public key, 32 bytes each."""

    secret: bytes = field(repr=False)
    public: bytes


def generate_pair() -> KeyPair:
    """A new key. Only `public` may be stored."""
    secret = secrets.token_bytes(keytext.SECRET_BYTES)
    return KeyPair(secret, public_key(secret))


def public_key(secret: bytes) -> bytes:
    """The raw public key (32 bytes) of a private seed of 32 bytes; `ValueError` for another size."""
    return Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def is_public_key(raw: bytes) -> bool:
    """Whether these are the bytes of an Ed25519 public key that only its private half can sign for.

    Not so for 8 points of small order, for which anybody can make a signature, nor for what is no point of
    the curve (RFC 8032, section 5.1.3). OpenSSL takes both.
    """
    if len(raw) != keytext.SECRET_BYTES:
        return False
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    square = y * y % _P
    x_square = (square - 1) * pow(_D * square + 1, -1, _P) % _P
    is_point = y < _P and pow(x_square, (_P - 1) // 2, _P) in (0, 1)
    # y of the points of order 1 and 2, 4, and 8: a point of order 8, doubled, has y = 0.
    is_small = square == 1 or y == 0 or (_D * square * square + 2 * square - 1) % _P == 0
    return is_point and not is_small


def public_of_text(text: str) -> bytes:
    """The raw public key in base64url, with or without padding. `ValueError` for anything but 32 bytes."""
    raw = base64.b64decode(text.rstrip("=") + "=", altchars=b"-_", validate=True)
    if len(raw) != keytext.SECRET_BYTES:
        raise ValueError("not 32 bytes")
    return raw


def random_id() -> str:
    """A new id of 12 base62 digits: for keys, credentials, tokens, apps, tunnels."""
    return keytext.new_id(secrets.token_bytes(keytext.ENTROPY_BYTES))


def random_connect_id() -> str:
    """A new connect id of 22 base62 digits, 128 random bits."""
    return keytext.new_connect_id(secrets.token_bytes(keytext.ENTROPY_BYTES))


def private_pem(secret: bytes) -> bytes:
    """A private seed of 32 bytes as unencrypted PKCS 8 in PEM, which `openssl` reads as well."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def secret_of_pem(pem: bytes) -> bytes:
    """The private seed in a PEM file. `ValueError` for anything but an unencrypted Ed25519 private key."""
    try:
        key = load_pem_private_key(pem, None)
    except (TypeError, UnsupportedAlgorithm) as error:  # encrypted; of a kind that is not known here
        raise ValueError("no plain Ed25519 key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("no Ed25519 key")
    return key.private_bytes_raw()


def public_of_pem(pem: bytes) -> bytes:
    """The raw public key in a PEM file. `ValueError` for anything but an Ed25519 public key."""
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError("no Ed25519 key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("no Ed25519 key")
    return key.public_bytes_raw()
