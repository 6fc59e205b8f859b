"""Ed25519 keys and proofs, hashes of passwords and tokens, the development CA; decides nothing about rights.

Home of cryptography, PyJWT and argon2-cffi.
"""
