"""What people may call things."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.domain import names
from aditus.domain.errors import AditusError, Code


def refused(check: Callable[[str], str], text: str) -> AditusError:
    with pytest.raises(AditusError) as caught:
        check(text)
    assert caught.value.code is Code.INVALID
    assert caught.value.reason == "bad-name"
    return caught.value


@pytest.mark.parametrize(
    "name", ["x", "a" * 50, "Orders (production)", "klíč č. 1", "鍵", "a.b", "...", "a-b", "🔑"]
)
def test_a_key_may_be_called_nearly_anything(name: str) -> None:
    assert names.access_key_id(name) == name


def test_a_name_is_kept_in_nfc_and_counted_in_it() -> None:
    decomposed = unicodedata.normalize("NFD", "é" * 50)
    assert len(decomposed) == 100
    assert names.access_key_id(decomposed) == "é" * 50


def test_even_the_longest_way_to_write_50_characters_is_understood() -> None:
    """U+1F82 is written with four code points at most, so nothing that fits is turned away unread."""
    written = unicodedata.normalize("NFD", "\u1f82" * 50)
    assert len(written) == names.MAX_DECOMPOSED
    assert names.access_key_id(written) == "\u1f82" * 50


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "at least 1"),
        ("a" * 51, "this one has 51"),
        ("a" * 201, "at most 50"),
        ("a\x00b", "invisible"),
        ("a\nb", "invisible"),
        ("a\u200db", "invisible"),
        ("a\u202eb", "invisible"),
        ("a\u2028b", "invisible"),
        ("a\ud800b", "invisible"),
        (" a", "neither begins nor ends"),
        ("a\u00a0", "neither begins nor ends"),
        ("-a", "option"),
        ("a/b", "part of a path"),
        ("a\\b", "part of a path"),
        (".", "part of a path"),
        ("..", "part of a path"),
    ],
)
def test_what_would_mislead_a_line_a_path_or_a_command_is_refused(name: str, says: str) -> None:
    failure = refused(names.access_key_id, name)
    assert says in failure.message
    assert failure.message.startswith("An access key ID")
    assert failure.field == "access_key_id"


@given(st.text(max_size=60))
def test_an_accepted_name_is_accepted_again_as_it_is(text: str) -> None:
    try:
        name = names.access_key_id(text)
    except AditusError:
        return
    assert names.access_key_id(name) == name
    assert 1 <= len(name) <= 50
    assert not {"Cc", "Cf"} & set(map(unicodedata.category, name))
    assert not set("/\\") & set(name)


def test_an_app_is_named_as_a_key_is() -> None:
    assert names.app_name("Orders") == "Orders"
    failure = refused(names.app_name, "a/b")
    assert failure.field == "name"
    assert failure.message.startswith("An app name")


@pytest.mark.parametrize(
    ("check", "field"), [(names.region_name, "region"), (names.capability_name, "capability")]
)
def test_labels_are_short_and_plain(check: Callable[[str], str], field: str) -> None:
    assert check("eu-west-1") == "eu-west-1"
    assert check("a" * 32) == "a" * 32
    for name in ("", "a" * 33, "EU", "a_b", "a.b", "é", "a\n", "٣"):
        assert refused(check, name).field == field


@pytest.mark.parametrize("check", [names.organization_name, names.subscription_name, names.app_name])
def test_tenants_and_apps_are_called_by_the_same_rules(check: Callable[[str], str]) -> None:
    assert check("Orders (production)") == "Orders (production)"
    for name in ("", "-x", "a/b", " a", "x" * 51):
        assert refused(check, name).remedy
