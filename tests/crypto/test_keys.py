"""Ed25519 keys and random ids."""

import re

import pytest

from aditus.crypto.keys import generate_pair, public_key, random_connect_id, random_id


def test_the_public_key_is_that_of_rfc_8032() -> None:
    """Section 7.1, test 1."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_key(secret).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


def test_a_new_pair_belongs_together_and_does_not_show_its_secret() -> None:
    pair = generate_pair()
    assert public_key(pair.secret) == pair.public
    assert repr(pair) == f"KeyPair(public={pair.public!r})"
    assert generate_pair().secret != pair.secret


def test_a_secret_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        public_key(bytes(31))


def test_random_ids_have_their_form_and_differ() -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{12}", random_id())
    assert re.fullmatch(r"[0-9A-Za-z]{22}", random_connect_id())
    assert len({random_id() for _ in range(1000)}) == 1000
