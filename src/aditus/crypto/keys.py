"""Ed25519 keys and random ids, from the operating system's entropy."""

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
