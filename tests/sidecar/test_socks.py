"""What SOCKS clients say to the sidecar, and what they hear."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.sidecar import socks
from aditus.sidecar.destination import Asked, Conversation, Refused
from aditus.sidecar.socks import Socks
from aditus.wire.errors import Misuse, ResetReason

HELLO = b"\x05\x01\x00"  # one method: no authentication
WELCOME = b"\x05\x00"
TO_ORDERS = b"\x05\x01\x00\x03\x06orders\x15\x38"
MOST_KEPT = 5 + 255 + 2


def said(data: bytes, cuts: list[int] | None = None) -> tuple[Asked | Refused | None, bytes]:
    """What `data`, cut at these places, comes to; and all that was answered."""
    talk, answers, found = Socks(), b"", None
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for start, end in pairwise(edges):
        piece = data[start:end]
        if isinstance(found, Asked):  # whoever drives it has these go the stream's way
            found = Asked(found.host, found.port, found.rest + piece)
            continue
        found = talk.receive(piece) or found
        answers += talk.to_send()
        assert len(talk._buffer) < MOST_KEPT
    return found, answers


def test_a_name_is_asked_for_as_curl_does_it() -> None:
    talk: Conversation = Socks()
    assert talk.receive(b"\x05\x02\x00\x01") is None  # without, or GSSAPI
    assert talk.to_send() == WELCOME
    assert talk.receive(TO_ORDERS) == Asked("orders", 5432, b"")
    assert talk.to_send() == b""
    assert talk.accept() == b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"


def test_addresses_are_asked_for_as_well() -> None:
    assert said(HELLO + b"\x05\x01\x00\x01\x7f\x00\x00\x01\x15\x38") == (
        Asked("127.0.0.1", 5432, b""),
        WELCOME,
    )
    assert said(HELLO + b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x15\x38") == (
        Asked("::1", 5432, b""),
        WELCOME,
    )


def test_what_is_said_early_is_the_streams() -> None:
    assert said(HELLO + TO_ORDERS + b"\x00\x00\x00\x08") == (
        Asked("orders", 5432, b"\x00\x00\x00\x08"),
        WELCOME,
    )


def test_a_name_that_is_not_ascii_is_no_name_of_an_alias() -> None:
    asked, _ = said(HELLO + b"\x05\x01\x00\x03\x02\xc3\xb6\x00\x50")
    assert asked == Asked("\ufffd\ufffd", 80, b"")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (b"\x05\x02\x00\x03\x06orders\x15\x38", 7),  # BIND
        (b"\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00", 7),  # UDP ASSOCIATE
        (b"\x05\x09\x00\x01\x00\x00\x00\x00\x00\x00", 7),
        (b"\x05\x01\x00\x02\x06orders\x15\x38", 8),
        (b"\x04\x01\x00\x03\x06orders\x15\x38", 1),
        (b"\x05\x01\x01\x03\x06orders\x15\x38", 1),
    ],
)
def test_what_is_not_served_gets_its_code(request_: bytes, code: int) -> None:
    found, answer = said(HELLO + request_)
    assert isinstance(found, Refused)
    assert answer == WELCOME + bytes((5, code, 0, 1, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("greeting", [b"\x05\x00", b"\x05\x01\x02", b"\x05\x02\x01\x02"])
def test_who_insists_on_a_password_is_told_that_there_is_none(greeting: bytes) -> None:
    found, answer = said(greeting)
    assert isinstance(found, Refused)
    assert "password" in found.text
    assert answer == b"\x05\xff"


def test_socks_4_has_a_clear_end() -> None:
    found, answer = said(b"\x04\x01\x15\x38\x00\x00\x00\x01app\x00orders\x00")
    assert isinstance(found, Refused)
    assert "SOCKS 4" in found.text
    assert answer == b"\x00\x5b" + bytes(6)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"\x00"]
)
def test_what_a_browser_sends_gets_no_answer_and_the_first_byte_decides(data: bytes) -> None:
    found, answer = said(data + HELLO + TO_ORDERS)
    assert isinstance(found, Refused)
    assert answer == b""
    assert said(data[:1])[0] == found


def test_every_reason_has_a_code_and_those_that_clients_tell_apart_are_right() -> None:
    codes = {reason: Socks().refuse(Refused(reason, ""))[1] for reason in ResetReason}
    assert 0 not in codes.values()
    assert codes[ResetReason.TARGET_REFUSED] == socks.CONNECTION_REFUSED == 5
    assert codes[ResetReason.TARGET_TIMEOUT] == socks.TTL_EXPIRED == 6
    assert codes[ResetReason.TARGET_UNRESOLVED] == socks.HOST_UNREACHABLE == 4
    assert codes[ResetReason.NO_AGENT] == socks.NETWORK_UNREACHABLE == 3
    assert codes[ResetReason.NOT_ASSOCIATED] == codes[ResetReason.REVOKED] == socks.NOT_ALLOWED == 2


def test_bytes_of_the_stream_do_not_belong_here() -> None:
    talk = Socks()
    talk.receive(HELLO + TO_ORDERS)
    with pytest.raises(Misuse):
        talk.receive(b"x")


def test_after_the_end_nothing_is_heard() -> None:
    talk = Socks()
    assert talk.receive(b"\x04")
    talk.to_send()
    assert talk.receive(HELLO + TO_ORDERS) is None
    assert talk.to_send() == b""


valid = st.builds(
    lambda methods, name, port, rest: (
        bytes((5, len(methods) + 1, *methods, 0))
        + bytes((5, 1, 0, 3, len(name)))
        + name
        + port.to_bytes(2)
        + rest
    ),
    st.binary(max_size=254),
    st.binary(max_size=255),
    st.integers(0, 65535),
    st.binary(max_size=600),
)
broken = st.builds(
    lambda start, rest: start + rest,
    st.sampled_from([b"", b"\x05", HELLO, HELLO + b"\x05\x01\x00"]),
    st.binary(),
)


@given(st.one_of(valid, broken), st.lists(st.integers(0, 1200), max_size=8))
def test_no_cut_changes_what_is_heard_and_nothing_is_too_strange(data: bytes, cuts: list[int]) -> None:
    assert said(data, cuts) == said(data) == said(data, list(range(len(data))))


@given(valid)
def test_what_a_client_asks_by_the_book_is_understood(data: bytes) -> None:
    found, answer = said(data)
    assert isinstance(found, Asked)
    assert data.endswith(found.rest)
    assert answer == WELCOME
