"""What clients and browsers say to the sidecar's HTTP proxy, and what they hear."""

from itertools import pairwise

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aditus.sidecar.destination import Asked, Conversation, Refused
from aditus.sidecar.http_connect import MAX_HEAD, HttpConnect
from aditus.wire.errors import Misuse, ResetReason

FROM_CURL = (
    b"CONNECT orders:443 HTTP/1.1\r\nHost: orders:443\r\nUser-Agent: curl/8.14.1\r\n"
    b"Proxy-Connection: Keep-Alive\r\n\r\n"
)


def said(data: bytes, cuts: list[int] | None = None) -> tuple[Asked | Refused | None, bytes]:
    """What `data`, cut at these places, comes to; and all that was answered."""
    talk, answers, found = HttpConnect(), b"", None
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    for start, end in pairwise(edges):
        piece = data[start:end]
        if isinstance(found, Asked):  # whoever drives it has these go the stream's way
            found = Asked(found.host, found.port, found.rest + piece)
            continue
        found = talk.receive(piece) or found
        answers += talk.to_send()
        assert len(talk._head.trailing_data[0]) <= MAX_HEAD
    return found, answers


def heard(answer: bytes, method: bytes = b"GET") -> tuple[int, dict[bytes, bytes], str]:
    """An answer as a client reads it: status, headers, body. It is whole, and the last on the connection."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target=b"a:1", headers=[("Host", "a:1")]))
    client.send(h11.EndOfMessage())
    client.receive_data(answer)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    body = client.next_event()
    assert isinstance(body, h11.Data)
    assert isinstance(client.next_event(), h11.EndOfMessage)
    assert client.trailing_data[0] == b""
    headers = dict(response.headers)
    assert headers[b"connection"] == b"close"
    return response.status_code, headers, bytes(body.data).decode()


def test_curl_gets_its_tunnel() -> None:
    talk: Conversation = HttpConnect()
    assert talk.receive(FROM_CURL) == Asked("orders", 443, b"")
    assert talk.to_send() == b""
    accepted = talk.accept()

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=b"CONNECT", target=b"orders:443", headers=[("Host", "orders:443")]))
    client.send(h11.EndOfMessage())
    client.receive_data(accepted)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    assert response.status_code == 200
    assert client.our_state is h11.SWITCHED_PROTOCOL


def test_clients_of_http_1_0_are_served() -> None:
    assert said(b"CONNECT 5432:5432 HTTP/1.0\r\n\r\n")[0] == Asked(
        "5432", 5432, b""
    )  # Python 3.11, OpenBSD's nc


def test_an_ipv6_address_stands_in_brackets() -> None:
    assert said(b"CONNECT [::1]:5432 HTTP/1.1\r\nHost: x\r\n\r\n")[0] == Asked("::1", 5432, b"")


def test_what_is_said_early_is_the_streams() -> None:
    assert said(FROM_CURL + b"\x16\x03\x01")[0] == Asked("orders", 443, b"\x16\x03\x01")
    assert said(FROM_CURL + b"x" * 2 * MAX_HEAD)[0] == Asked("orders", 443, b"x" * 2 * MAX_HEAD)


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nHost: evil.example:3128\r\nOrigin: http://evil.example:3128\r\n\r\n",  # rebound
        b"GET http://orders/ HTTP/1.1\r\nHost: orders\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:3128\r\nContent-Length: 99\r\n\r\n" + FROM_CURL,
        b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nAccess-Control-Request-Method: CONNECT\r\n\r\n",
        b"connect orders:443 HTTP/1.1\r\nHost: orders\r\n\r\n",
    ],
)
def test_a_web_page_gets_one_fixed_text_and_nothing_else_is_read(request_: bytes) -> None:
    found, answer = said(request_)
    assert isinstance(found, Refused)
    assert answer == said(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")[1]
    status, headers, text = heard(answer)
    assert status == 405
    assert headers[b"allow"] == b"CONNECT"
    assert not any(name.startswith(b"access-control") for name in headers)
    assert "--proxytunnel" in text


@pytest.mark.parametrize(
    "target",
    [
        *(b"orders", b"orders:", b":443", b"orders:http", b"orders:-1", b"orders:65536", b"orders:443:443"),
        *(
            b"http://orders:443",
            b"user@orders:443",
            b"::1:443",
            b"[::1]",
            b"[::1:443",
            b"[x]:1",
            b"/",
            b"*",
            b"a/b:1",
        ),
    ],
)
def test_a_target_that_is_no_host_and_port_is_a_bad_request(target: bytes) -> None:
    found, answer = said(b"CONNECT " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert isinstance(found, Refused)
    status, _, text = heard(answer)
    assert status == 400
    assert "CONNECT <app port or alias>" in text


@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT orders:443 HTTP/1.1\r\n\r\n",  # no Host
        b"CONNECT orders:443 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"CONNECT orders:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        b"CONNECT orders:443 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"CONNECT orders:443 HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
        b"CONNECT  orders:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT orders:443\r\n\r\n",
        b"\r\n\r\n",
        b"\x05\x01\x00",  # SOCKS
        b"\x16\x03\x01\x02\x00",  # TLS
    ],
)
def test_what_is_not_http_is_a_bad_request(data: bytes) -> None:
    found, answer = said(data)
    assert isinstance(found, Refused)
    assert heard(answer)[0] == 400


@pytest.mark.parametrize("piece", [1, 1000, MAX_HEAD, 3 * MAX_HEAD])
def test_a_head_is_bounded_however_it_comes(piece: int) -> None:
    start, end = b"CONNECT orders:443 HTTP/1.1\r\nHost: x\r\nCookie: ", b"\r\n\r\n"
    most = start + b"x" * (MAX_HEAD - len(start) - len(end)) + end
    over = start + b"x" * (MAX_HEAD - len(start) - len(end) + 1) + end
    cuts = list(range(piece, len(over), piece))
    assert said(most, cuts)[0] == Asked("orders", 443, b"")
    found, answer = said(over, cuts)
    assert isinstance(found, Refused)
    status, _, text = heard(answer)
    assert status == 431
    assert "8192 bytes" in text


def test_nothing_that_was_said_comes_back() -> None:
    for data in (
        b"GET /canary HTTP/1.1\r\nHost: canary\r\ncanary: canary\r\n\r\n",
        b"CONNECT canary HTTP/1.1\r\nHost: canary\r\n\r\n",
        b"canary\r\n\r\n",
    ):
        found, answer = said(data)
        assert isinstance(found, Refused)
        assert b"canary" not in answer
        assert "canary" not in found.text


def test_every_reason_has_a_status_and_a_text_that_says_what_to_do() -> None:
    statuses = {}
    for reason in ResetReason:
        statuses[reason], _, text = heard(HttpConnect().refuse(Refused(reason, "")), b"CONNECT")
        assert text.startswith(f"{reason.token}: ")
        assert text.count(".") >= 2
    assert set(statuses.values()) == {403, 502, 503, 504}
    assert statuses[ResetReason.TARGET_REFUSED] == 502
    assert statuses[ResetReason.NO_AGENT] == statuses[ResetReason.PORT_NOT_OFFERED] == 503
    assert statuses[ResetReason.TARGET_TIMEOUT] == 504
    assert statuses[ResetReason.NOT_ASSOCIATED] == statuses[ResetReason.ADDRESS_NOT_ALLOWED] == 403


def test_a_text_of_its_own_is_told() -> None:
    answer = HttpConnect().refuse(Refused(ResetReason.ADDRESS_NOT_ALLOWED, "Ask for größe."))
    assert heard(answer)[2] == "address-not-allowed: Ask for größe.\n"


def test_bytes_of_the_stream_do_not_belong_here() -> None:
    talk = HttpConnect()
    talk.receive(FROM_CURL)
    with pytest.raises(Misuse):
        talk.receive(b"x")


def test_after_the_end_nothing_is_heard() -> None:
    talk = HttpConnect()
    assert talk.receive(b"\x00")
    talk.to_send()
    assert talk.receive(FROM_CURL) is None
    assert talk.to_send() == b""


LINES = [
    *(
        b"CONNECT orders:443 HTTP/1.1",
        b"CONNECT [::1]:1 HTTP/1.0",
        b"GET / HTTP/1.1",
        b"Host: x",
        b" folded",
        b"a: b",
    ),
    *(
        b"Content-Length: 1",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
        b"",
        b"\x00",
        b"\xff",
        b"x" * MAX_HEAD,
    ),
]
dialogues = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(LINES), st.binary(max_size=40)), st.sampled_from([b"\r\n", b"\n", b"\r"])
    )
).map(lambda lines: b"".join(line + end for line, end in lines))


@given(
    st.one_of(dialogues, st.binary(), st.binary(max_size=40).map(FROM_CURL.__add__)),
    st.lists(st.integers(0, 20000)),
)
def test_no_cut_changes_what_is_heard_and_nothing_is_too_strange(data: bytes, cuts: list[int]) -> None:
    assert said(data, cuts) == said(data)
