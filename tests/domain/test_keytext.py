"""Secrets as text: they round-trip, a typo is found offline, and nothing shows them."""

import copy
import json
import pickle
import re
from dataclasses import asdict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aditus.domain import keytext
from aditus.domain.errors import AditusError, Code
from aditus.domain.keytext import SECRET_PATTERN, ParsedKey, SecretText, mask

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID = "AbCdEf012345"
SECRET = bytes(range(32))
KEY = keytext.format_access_key("eu-1", ID, SECRET)
TEXT = KEY.reveal()

ids = st.text(BASE62, min_size=12, max_size=12)
secrets = st.binary(min_size=32, max_size=32)
regions = st.from_regex(rf"\A{keytext.REGION_PATTERN}\Z")


def refused(text: str) -> AditusError:
    with pytest.raises(AditusError) as caught:
        keytext.parse_access_key(text)
    assert caught.value.code is Code.INVALID
    assert caught.value.field == "secret_access_key"
    return caught.value


# --- there and back ---------------------------------------------------------------------------


@given(regions, ids, secrets)
@example("a" * 32, "z" * 12, b"\xff" * 32)
@example("-", "0" * 12, bytes(32))
def test_an_access_key_round_trips(region: str, key_id: str, secret: bytes) -> None:
    text = keytext.format_access_key(region, key_id, secret).reveal()
    assert keytext.parse_access_key(text) == ParsedKey(region, key_id, secret)
    assert re.fullmatch(SECRET_PATTERN, text)
    assert len(text) == len(region) + 68


@given(ids, secrets)
def test_app_credentials_and_tokens_round_trip_without_a_region(an_id: str, secret: bytes) -> None:
    app = keytext.format_app_secret(an_id, secret).reveal()
    token = keytext.format_token(an_id, secret).reveal()
    assert keytext.parse_app_secret(app) == keytext.parse_token(token) == ParsedKey("", an_id, secret)
    assert app.startswith("adta_")
    assert token.startswith("adtp_")
    assert re.fullmatch(SECRET_PATTERN, app)
    assert re.fullmatch(SECRET_PATTERN, token)


def test_the_form_is_the_one_written_down() -> None:
    """A vector, so that the form cannot drift: keys out there must stay readable."""
    assert TEXT == "adt_eu-1_AbCdEf012345_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf_4TQA1W"


@pytest.mark.parametrize("around", ["{}\n", "  {} ", "'{}'", '"{}"', "`{}`", ' "{}" \r\n', '" {} "'])
def test_blanks_and_quotes_around_it_are_forgiven(around: str) -> None:
    assert keytext.parse_access_key(around.format(TEXT)).secret == SECRET


@pytest.mark.parametrize(
    ("region", "key_id", "secret"),
    [
        ("EU", ID, SECRET),
        ("", ID, SECRET),
        ("a" * 33, ID, SECRET),
        ("eu\n", ID, SECRET),
        ("eu", "short", SECRET),
        ("eu", "AbCdEf01234_", SECRET),
        ("eu", "AbCdEf01234é", SECRET),
        ("eu", ID, b"short"),
    ],
)
def test_what_cannot_be_a_secret_is_never_formatted(region: str, key_id: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match=r"region|id|secret"):
        keytext.format_access_key(region, key_id, secret)


# --- what is wrong with it --------------------------------------------------------------------

HEAD, _, CRC = TEXT.rpartition("_")
SECRET43 = HEAD.rpartition("_")[2]


def sealed(body: str) -> str:
    """`body` with the checksum that belongs to it."""
    return f"{body}_{keytext._checksum(body)}"


@pytest.mark.parametrize(
    ("text", "reason", "says"),
    [
        ("", "secret-empty", "nothing"),
        (" '' ", "secret-empty", "nothing"),
        ("x" * 257, "secret-length", "far too long"),
        ("hunter2", "secret-prefix", "no secret of Aditus; a secret access key begins with adt_"),
        ("adta", "secret-prefix", "no secret of Aditus"),
        (TEXT.upper(), "secret-prefix", "no secret of Aditus"),
        (
            keytext.format_app_secret(ID, SECRET).reveal(),
            "secret-prefix",
            "This is an app credential; a secret",
        ),
        (keytext.format_token(ID, SECRET).reveal(), "secret-prefix", "This is an API token; a secret"),
        (HEAD, "secret-length", "4 parts between underscores; a secret access key has 5"),
        (f"{TEXT}_x", "secret-length", "6 parts"),
        (TEXT.replace("eu-1", "EU-1"), "secret-region", "The region in it (the second part)"),
        (TEXT.replace("eu-1", ""), "secret-region", "The region in it"),
        (TEXT.replace(ID, "AbCdEf01234!"), "secret-alphabet", "The id in it has a character"),
        (TEXT.replace(SECRET43, f"{SECRET43[:-1]}é"), "secret-alphabet", "The secret in it has a character"),
        (f"{HEAD}_12 456", "secret-alphabet", "The checksum in it has a character"),
        (TEXT.replace(ID, ID[:-1]), "secret-length", "The id in it has 11 digits instead of 12"),
        (
            TEXT.replace(SECRET43, SECRET43[1:]),
            "secret-length",
            "The secret in it has 42 digits instead of 43",
        ),
        (TEXT[:-1], "secret-length", "The checksum in it has 5 digits instead of 6"),
        (f"{HEAD}_zzzzzz", "secret-checksum", "typo"),
        (sealed(f"adt_eu_{ID}_{'z' * 43}"), "secret-range", "no secret has"),
    ],
)
def test_each_fault_has_its_own_message_and_none_echoes_the_text(text: str, reason: str, says: str) -> None:
    failure = refused(text)
    assert failure.reason == reason
    assert says in failure.message
    assert failure.remedy
    assert SECRET43[:12] not in str(failure)
    assert "hunter2" not in str(failure)


def test_app_credentials_and_tokens_name_their_own_field() -> None:
    with pytest.raises(
        AditusError, match="This is a secret access key; an app credential begins with adta_"
    ) as app:
        keytext.parse_app_secret(TEXT)
    with pytest.raises(AditusError, match="an API token begins with adtp_") as token:
        keytext.parse_token(TEXT)
    assert (app.value.field, token.value.field) == ("app_secret", "token")


@given(st.integers(0, len(TEXT) - 1), st.sampled_from(BASE62))
def test_no_single_typo_goes_unnoticed(at: int, digit: str) -> None:
    typed = TEXT[:at] + digit + TEXT[at + 1 :]
    if typed != TEXT:
        refused(typed)


@given(st.integers(0, len(TEXT) - 2))
def test_no_swap_of_neighbours_goes_unnoticed(at: int) -> None:
    typed = TEXT[:at] + TEXT[at + 1] + TEXT[at] + TEXT[at + 2 :]
    if typed != TEXT:
        refused(typed)


@given(st.text(max_size=300))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    refused(text)


# --- out of sight -----------------------------------------------------------------------------


def test_only_reveal_shows_a_secret() -> None:
    masked = "adt_eu-1_AbC…_****"
    assert KEY.reveal() == TEXT
    assert str(KEY) == f"{KEY}" == mask(TEXT) == masked
    assert repr(KEY) == f"SecretText({masked})"
    assert f"{KEY:>30}" == masked.rjust(30)
    assert masked == "%s" % KEY  # noqa: UP031  this way too
    assert not hasattr(KEY, "__dict__")


def test_a_secret_is_neither_pickled_nor_put_into_json() -> None:
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(KEY)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(KEY)
    assert json.dumps(KEY, default=str, ensure_ascii=False) == '"adt_eu-1_AbC…_****"'


def test_a_copy_of_a_secret_is_the_secret() -> None:
    assert copy.copy(KEY) is KEY
    assert copy.deepcopy([KEY])[0] is KEY


def test_secrets_compare_by_their_text_and_only_with_secrets() -> None:
    same, other = SecretText(TEXT), SecretText(TEXT + "x")
    assert same == KEY
    assert hash(KEY) == hash(same)
    assert other != KEY
    assert KEY != TEXT
    assert SecretText("é") == SecretText("é")


def test_a_parsed_key_does_not_show_its_secret_bytes() -> None:
    parsed = keytext.parse_access_key(TEXT)
    assert repr(parsed) == f"ParsedKey(region='eu-1', key_id='{ID}')"
    assert asdict(parsed)["secret"] == SECRET


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hunter2",
        "adt_",
        f"adt_{ID.lower()}_{SECRET43}_{CRC}",
        f"adt_{SECRET43}",
        f"adta_{SECRET43}_{CRC}",
    ],
)
def test_of_what_is_no_whole_secret_the_mask_shows_nothing(text: str) -> None:
    """Typed without its region, a secret could have its secret digits where others have an id."""
    assert mask(text) == "****"


@given(regions, ids, secrets, st.integers(0, 5))
def test_the_pattern_finds_secrets_in_a_text_also_cut_ones_but_no_masks(
    region: str, key_id: str, secret: bytes, cut: int
) -> None:
    text = keytext.format_access_key(region, key_id, secret).reveal()
    cut_text = text[: len(text) - 7 * (cut > 0) - cut]
    assert re.findall(SECRET_PATTERN, f'key="{cut_text}", next') == [cut_text]
    assert not re.search(SECRET_PATTERN, mask(text))


# --- ids --------------------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=64))
def test_ids_are_made_of_base62_digits_of_one_length(entropy: bytes) -> None:
    assert re.fullmatch(r"[0-9A-Za-z]{12}", keytext.new_id(entropy))
    assert re.fullmatch(r"[0-9A-Za-z]{22}", keytext.new_connect_id(entropy))


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_connect_ids_of_128_bits_map_one_to_one(one: bytes, other: bytes) -> None:
    assert (keytext.new_connect_id(one) == keytext.new_connect_id(other)) == (one == other)


def test_an_id_is_not_made_of_too_little() -> None:
    with pytest.raises(ValueError, match="at least 16 random bytes"):
        keytext.new_id(bytes(15))
    with pytest.raises(ValueError, match="at least 16 random bytes"):
        keytext.new_connect_id(bytes(15))
