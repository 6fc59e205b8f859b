"""Proofs that someone holds a secret access key, without showing it (decision 1 of the house plan).

A bearer proof is a JSON Web Token signed by the key itself:

    header   {"alg": "EdDSA", "typ": "aditus-proof+jwt", "kid": key_id}
    payload  {"aud": host[:port] as dialled, "iat": now, "exp": at most 60 s later, "rgn": region}

It opens the door to the second step only, the signature of the relay's challenge, for which `sign` and
`check_signature` are there; a recorded proof is worth nothing without that. `rgn` is empty for apps.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from aditus.domain.keytext import ID_DIGITS, REGION_PATTERN, ParsedKey
from aditus.domain.ports import ProofClaims, ProofVerdict

if TYPE_CHECKING:
    from jwt.types import Options

ALGORITHM = "EdDSA"
TYPE = "aditus-proof+jwt"
LIFETIME = 60  # seconds that a proof may be good for
LEEWAY = 30  # seconds that two clocks may differ
MAX_BEARER = 2048  # characters; ours have about 350, and a stranger's are measured before they are parsed
KEYS_HELD = 4096  # public keys kept loaded, a few hundred bytes each

_KEY_ID = re.compile(rf"[0-9A-Za-z]{{{ID_DIGITS}}}", re.ASCII)
_REGION = re.compile(rf"(?:{REGION_PATTERN})?", re.ASCII)
# The times are judged here, after the signature and by the `now` that is given, not by PyJWT's own clock.
_UNVERIFIED: "Options" = {
    "verify_signature": False,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}
_VERIFIED: "Options" = {**_UNVERIFIED, "verify_signature": True}
_OK = ProofVerdict(True)
_BAD_PROOF = ProofVerdict(False, "bad-proof")
_CLOCK_SKEW = ProofVerdict(False, "clock-skew")


class KeySigner:
    """A `domain.ports.Signer` that holds a parsed secret. It has no way to give the secret out."""

    __slots__ = ("_key", "_key_id", "_region")

    def __init__(self, parsed: ParsedKey) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(parsed.secret)
        self._key_id = parsed.key_id
        self._region = parsed.region

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def region(self) -> str:
        return self._region

    def bearer(self, audience: str, now: float) -> str:
        """A proof for one `host[:port]`, good for 60 s from `now` (Unix seconds)."""
        issued = int(now)
        payload = {"aud": audience, "iat": issued, "exp": issued + LIFETIME, "rgn": self._region}
        return jwt.encode(payload, self._key, ALGORITHM, {"typ": TYPE, "kid": self._key_id})

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `message`."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"KeySigner(key_id={self._key_id!r}, region={self._region!r})"


class Ed25519Verifier:
    """A `domain.ports.Verifier`. Without state of its own; safe to share between threads."""

    def claims(self, bearer: str) -> ProofClaims:
        """What a proof says of itself, NOT verified. `ValueError`, without echo, when it is not one."""
        try:
            header, payload = _decode(bearer, None)
        except _NOT_A_PROOF:
            raise ValueError("the bearer is not a proof of an Aditus key") from None
        return ProofClaims(header["kid"], payload["rgn"], payload["aud"])

    def check_bearer(
        self, bearer: str, public_key: bytes, audiences: Sequence[str], now: float
    ) -> ProofVerdict:
        """Whether `bearer` was signed by this raw public key, for one of `audiences`, at about `now`.

        `now` is in Unix seconds. `clock-skew` is said only to who proved to hold the key; all else is
        `bad-proof`. `ValueError` when `public_key` is not 32 bytes, which is the caller's defect.
        """
        key = _load(public_key)
        try:
            _, payload = _decode(bearer, key)
        except _NOT_A_PROOF:
            return _BAD_PROOF
        issued, expires = payload["iat"], payload["exp"]
        if payload["aud"] not in audiences or not 0 < expires - issued <= LIFETIME:
            return _BAD_PROOF
        if not issued - LEEWAY <= now <= expires + LEEWAY:
            return _CLOCK_SKEW
        return _OK

    def check_signature(self, message: bytes, signature: bytes, public_key: bytes) -> bool:
        """Whether `signature` is the Ed25519 signature of `message` by this raw public key of 32 bytes."""
        try:
            _load(public_key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


# What parsing a stranger's text raises: PyJWT's own, `ValueError` (of JSON, text encoding, or ours), and
# `RecursionError`, for 2,048 characters can nest deeper than the JSON parser goes.
_NOT_A_PROOF = (jwt.PyJWTError, ValueError, RecursionError)


def _decode(bearer: str, key: Ed25519PublicKey | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and payload with every field of the right type; verified when there is a key."""
    if len(bearer) > MAX_BEARER:
        raise ValueError("too long")
    token = jwt.decode_complete(bearer, key or "", [ALGORITHM], _UNVERIFIED if key is None else _VERIFIED)
    header, payload = token["header"], token["payload"]
    if header.keys() != {"alg", "typ", "kid"} or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise ValueError("another header")
    if not _KEY_ID.fullmatch(header["kid"]):
        raise ValueError("no key id")
    if tuple(type(payload.get(claim)) for claim in ("aud", "rgn", "iat", "exp")) != (str, str, int, int):
        raise ValueError("claims are missing or of another type")
    if not _REGION.fullmatch(payload["rgn"]):
        raise ValueError("no region")
    return header, payload


@lru_cache(maxsize=KEYS_HELD)
def _load(public_key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(public_key)
