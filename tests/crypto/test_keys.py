"""Ed25519 keys and random ids."""

import base64
import re

import pytest

from aditus.crypto.keys import (
    generate_pair,
    is_public_key,
    public_key,
    public_of_text,
    random_connect_id,
    random_id,
)
from aditus.crypto.proof import Ed25519Verifier


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


SMALL = [
    (1).to_bytes(32, "little"),
    bytes(32),
    (2**255 - 20).to_bytes(32, "little"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
]


@pytest.mark.parametrize("point", SMALL, ids=bytes.hex)
@pytest.mark.parametrize("sign", [0, 0x80])
def test_a_key_for_which_anybody_can_sign_is_none(point: bytes, sign: int) -> None:
    assert not is_public_key(point[:31] + bytes([point[31] | sign]))


def test_a_public_key_is_read_from_base64url_with_or_without_padding() -> None:
    raw = bytes([0xFB, 0xFF]) * 16
    text = base64.urlsafe_b64encode(raw).decode()
    assert "-" in text
    assert public_of_text(text) == public_of_text(text.rstrip("=")) == raw
    for other in ("", text[:-2], text + "A", "é" * 43, text[:20] + "\n" + text[20:]):
        with pytest.raises(ValueError, match=r"."):
            public_of_text(other)


def test_a_forged_signature_is_what_this_is_about() -> None:
    forged = (1).to_bytes(32, "little") + bytes(32)
    assert Ed25519Verifier().check_signature(b"anything", forged, SMALL[0])  # OpenSSL has nothing against it


def test_real_keys_are_keys_and_other_bytes_are_not() -> None:
    assert all(is_public_key(generate_pair().public) for _ in range(100))
    assert not is_public_key(bytes(31))
    assert not is_public_key((2).to_bytes(32, "little"))  # no point of the curve
    assert not is_public_key((2**255 - 19 + 3).to_bytes(32, "little"))  # not in its one form
