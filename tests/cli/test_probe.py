"""`probe` waits for a page: it ends when the page is there, and says why it is not."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.cli.run import run


@contextmanager
def page(*statuses: int) -> Iterator[tuple[str, list[int]]]:
    """A page that answers with these statuses in turn, the last one for ever; and what it has answered."""
    answered: list[int] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses[min(len(answered), len(statuses) - 1)]
            answered.append(status)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Not on the test's stderr."""

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/readyz", answered
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_page_that_is_there_is_0_at_once(status: int) -> None:
    with page(status) as (url, answered):
        ended = run("probe", "--http", url)
    assert (ended.code, ended.said) == (0, "")
    assert answered == [status]


def test_a_page_is_waited_for() -> None:
    with page(503, 404, 200) as (url, answered):
        ended = run("probe", "--http", url, "--interval", "0", "--retries", "5")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "1/6: status 503\n2/6: status 404\n"
    assert answered == [503, 404, 200]


def test_a_page_that_is_never_there_is_6() -> None:
    with page(503) as (url, answered):
        ended = run("probe", "--http", url, "--interval", "0", "--retries", "2")
    assert ended.code == 6
    assert "did not answer with 2xx in 3 tries. The last time: status 503." in ended.err
    assert answered == [503, 503, 503]


def test_where_it_leads_counts() -> None:
    with page(302, 200) as (url, answered):
        assert run("probe", "--http", url, "--retries", "0").code == 0
    assert answered == [302, 200]


def test_no_proxy_leads_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with page(200) as (url, answered):
        assert run("probe", "--http", url, "--retries", "0").code == 0
    assert answered == [200]


def test_nobody_there_is_said() -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        ended = run("probe", "--http", url, "--interval", "0", "--retries", "1")
    assert ended.code == 6
    assert ended.err.splitlines()[0] == "1/2: Connection refused"


def test_what_is_no_http_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"SSH-2.0-x\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        ended = run("probe", "--http", f"http://127.0.0.1:{server.getsockname()[1]}", "--retries", "0")
        thread.join()
    assert ended.code == 6
    assert "BadStatusLine" in ended.err


@pytest.mark.parametrize("url", ["file:///etc/passwd", "/etc/passwd", "ftp://h/x"])
def test_only_pages_are_asked_for(url: str) -> None:
    ended = run("probe", "--http", url)
    assert ended.code == 2
    assert "root:" not in ended.said
