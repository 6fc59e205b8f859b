"""How the server remembers API tokens: as a hash from which no token can be found.

A token's secret is 256 random bits, so nobody can guess through a plain SHA-256; a slow hash, which
makes up for what people choose as passwords, would only make each request slow.
"""

import hashlib
import hmac


def token_hash(secret: bytes) -> bytes:
    """The 32 bytes to store for a token with these 32 secret bytes."""
    return hashlib.sha256(secret).digest()


def token_matches(secret: bytes, stored: bytes) -> bool:
    """Whether the token with these secret bytes is the stored one; takes the same time either way."""
    return hmac.compare_digest(token_hash(secret), stored)
