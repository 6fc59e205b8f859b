"""API tokens are remembered as hashes."""

import hashlib

from aditus.crypto.tokens import token_hash, token_matches


def test_a_token_is_known_again_by_its_hash_alone() -> None:
    secret = bytes(range(32))
    assert token_hash(secret) == hashlib.sha256(secret).digest()
    assert token_matches(secret, token_hash(secret))
    assert not token_matches(secret[::-1], token_hash(secret))
    assert not token_matches(secret, secret)
    assert not token_matches(secret, b"")
