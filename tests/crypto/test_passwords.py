"""Passwords of people."""

import subprocess
import sys

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError

from aditus.crypto.passwords import MAX_PASSWORD, hash_password, needs_rehash, verify_password

STORED = hash_password("correct horse")


def test_a_password_is_known_again_and_no_other() -> None:
    assert verify_password("correct horse", STORED)
    assert not verify_password("correct hors", STORED)
    assert not verify_password("", STORED)


def test_the_hash_is_argon2id_with_its_own_salt() -> None:
    assert STORED.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert hash_password("correct horse") != STORED
    assert not needs_rehash(STORED)


def test_a_hash_of_lower_costs_is_to_be_renewed() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
    assert verify_password("correct horse", weak)
    assert needs_rehash(weak)


def test_keyboards_may_send_an_accent_in_two_ways() -> None:
    assert verify_password("caf\u00e9", hash_password("cafe\u0301"))


def test_nobody_signs_in_as_nobody() -> None:
    assert not verify_password("correct horse", None)


def test_a_password_without_end_is_not_hashed() -> None:
    with pytest.raises(ValueError, match="at most 1024"):
        hash_password("x" * (MAX_PASSWORD + 1))
    assert not verify_password("x" * (MAX_PASSWORD + 1), STORED)


def test_a_damaged_hash_is_an_error_not_a_wrong_password() -> None:
    with pytest.raises(InvalidHashError):
        verify_password("correct horse", "damaged")


def test_an_agent_does_without_argon2() -> None:
    """It belongs to the server's extra; importing the module must not ask for it."""
    code = "import sys; sys.modules['argon2'] = None; import aditus.crypto.passwords"
    subprocess.run([sys.executable, "-c", code], check=True)
