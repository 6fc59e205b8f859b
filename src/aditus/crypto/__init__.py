"""Ed25519 keys, signed proofs and the development CA: the home of cryptography and PyJWT."""
