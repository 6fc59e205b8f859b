"""Apps that ask a proxy of their sidecar for an app port, by number or alias, over the whole way."""

import asyncio
import http.client
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from python_socks import ProxyError
from python_socks.async_.asyncio import Proxy

from aditus.domain.connect_url import RelayUrl
from aditus.sidecar import proxies, sidecar
from aditus.wire.errors import ResetReason
from tests.ends import LOOPBACK, Conversation, Target, free_port, until
from tests.world import App, Beside, Key, Running, Site

SAID = b"a page of the private network\n"


class Page(BaseHTTPRequestHandler):
    """One page; what is posted comes back."""

    def do_GET(self) -> None:
        self._answer(SAID)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """The tests' own output is enough."""


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a real HTTP service."""
    with ThreadingHTTPServer((LOOPBACK, 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@dataclass
class Way:
    """A sidecar with both proxies, and an agent that offers one service as `orders`."""

    key: Key
    app: App
    agent: Running
    beside: Beside
    socks: int
    http: int
    port: int

    async def agent_goes(self) -> None:
        await self.agent.stop()
        await until(lambda: not self.beside.sidecar.ports, "nothing can be reached")

    async def tunnel(self, host: str, port: int) -> Conversation:
        """A connection to the HTTP proxy that has asked for a tunnel."""
        app = await Conversation.connect(self.http)
        await app.send(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        return app


@asynccontextmanager
async def proxied(site: Site, service: int) -> AsyncIterator[Way]:
    key, port, socks, web = site.make_key(), free_port(), free_port(), free_port()
    agent = site.start_agent(key, f"{port}:{LOOPBACK}:{service},alias=orders")
    await site.attached(key)
    app = site.make_app(key=key)
    beside = site.start_sidecar(app, listen=None, socks=(LOOPBACK, socks), http_proxy=(LOOPBACK, web))
    await until(lambda: beside.sidecar.ports == {port: "orders"}, "the service can be reached")
    yield Way(key, app, agent, beside, socks, web, port)


async def head(app: Conversation) -> bytes:
    """The head of an HTTP answer."""
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += await app.exactly(1)
    return got


async def refused(app: Conversation) -> tuple[int, str]:
    """The status and the reason of an answer that refuses; it ends cleanly."""
    answer = (await app.rest()).decode()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2].partition(":")[0]


async def curl(*words: str) -> subprocess.CompletedProcess[str]:
    command = ["curl", "-sS", "--noproxy", "", "--max-time", "20", *words]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)


# --- programs as people have them ---------------------------------------------------------------


@pytest.mark.needs("curl")
async def test_curl_gets_a_page_by_either_proxy_by_alias_and_by_number(site: Site, web: int) -> None:
    async with proxied(site, web) as way:
        by_socks = ("--proxy", f"socks5h://{LOOPBACK}:{way.socks}")
        by_http = ("--proxytunnel", "--proxy", f"http://{LOOPBACK}:{way.http}")
        for proxy in (by_socks, by_http):
            for host in ("orders", f"orders:{way.port}", f"localhost:{way.port}", str(way.port)):
                answer = await curl(*proxy, f"http://{host}/")
                assert (answer.returncode, answer.stdout.encode()) == (0, SAID), (host, answer.stderr)


@pytest.mark.needs("curl")
async def test_curl_is_told_what_is_not_reached(site: Site, web: int) -> None:
    async with proxied(site, web) as way:
        by_socks = ("--proxy", f"socks5h://{LOOPBACK}:{way.socks}")
        by_http = ("--proxytunnel", "--proxy", f"http://{LOOPBACK}:{way.http}")
        answer = await curl(*by_socks, "http://example.com/")
        assert (answer.returncode, "(2)" in answer.stderr) == (97, True), answer.stderr  # not allowed
        answer = await curl(*by_http, "http://example.com/")
        assert (answer.returncode, "403" in answer.stderr) == (56, True), answer.stderr
        await way.agent_goes()
        answer = await curl(*by_socks, "http://orders/")
        assert (answer.returncode, "(5)" in answer.stderr) == (97, True), answer.stderr  # refused
        answer = await curl(*by_http, "http://orders/")
        assert (answer.returncode, "503" in answer.stderr) == (56, True), answer.stderr


async def test_pythons_own_client_goes_through_the_http_proxy(site: Site, web: int) -> None:
    async with proxied(site, web) as way:

        def post() -> bytes:
            connection = http.client.HTTPConnection(LOOPBACK, way.http, timeout=20)
            connection.set_tunnel("orders", 80)
            try:
                connection.request("POST", "/", bytes(range(256)) * 4_000)
                return connection.getresponse().read()
            finally:
                connection.close()

        assert await asyncio.to_thread(post) == bytes(range(256)) * 4_000


async def test_python_socks_goes_through_the_socks_proxy_and_hears_why_not(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            proxy = Proxy.from_url(f"socks5://{LOOPBACK}:{way.socks}", rdns=True)
            sock = await proxy.connect("orders", 5432, timeout=20)
            with Conversation(sock) as app, await service.accept() as there:
                await app.send(b"question")
                assert await there.exactly(8) == b"question"
            with pytest.raises(ProxyError) as not_allowed:
                await proxy.connect("example.com", 80, timeout=20)
            assert not_allowed.value.error_code == 2
            await way.agent_goes()
            with pytest.raises(ProxyError) as away:
                await proxy.connect("orders", 5432, timeout=20)
            assert away.value.error_code == 5


# --- what an app is told ------------------------------------------------------------------------


async def test_success_is_said_only_when_the_service_is_connected(site: Site) -> None:
    async with proxied(site, free_port()) as way:  # nobody listens there
        with await way.tunnel("orders", 80) as app:
            assert await refused(app) == (502, "target-refused")
        with await Conversation.connect(way.socks) as app:
            await app.send(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x06orders\x00\x50")
            assert await app.rest() == b"\x05\x00" + b"\x05\x05\x00\x01" + bytes(6)
    assert way.beside.runs


async def test_what_cannot_be_reached_is_told_apart(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            other = free_port()
            for host, port, answer in (
                ("example.com", 443, (403, "address-not-allowed")),
                ("169.254.169.254", 80, (403, "address-not-allowed")),
                ("localhost", other, (503, "port-not-offered")),
                ("billing", 80, (403, "address-not-allowed")),
            ):
                with await way.tunnel(host, port) as app:
                    assert await refused(app) == answer, host
            site.associate(way.app, None)
            await until(lambda: not way.beside.sidecar.ports, "nothing can be reached")
            for host, port, answer in (
                ("orders", 80, (503, "port-not-offered")),  # it was there
                ("localhost", way.port, (503, "port-not-offered")),
                ("billing", 80, (503, "no-agent")),  # who knows
                ("example.com", 443, (403, "address-not-allowed")),
            ):
                with await way.tunnel(host, port) as app:
                    assert await refused(app) == answer, host
            site.associate(way.app, way.key)
            await until(lambda: way.beside.sidecar.ports, "it can be reached again")
            with await way.tunnel("orders", 80) as app, await service.accept():
                assert (await head(app)).startswith(b"HTTP/1.1 200 ")


async def never(seconds: float) -> None:
    """A pause that does not end."""
    await asyncio.Event().wait()


async def test_the_proxies_are_there_before_any_relay_is(site: Site) -> None:
    port, nobody = free_port(), RelayUrl("localhost", free_port())
    beside = site.start_sidecar(
        site.make_app(), relays=(nobody,), listen=None, http_proxy=(LOOPBACK, port), pause=never
    )
    await until(lambda: beside.sidecar._proxies._listeners, "the proxy is there")
    with await Conversation.connect(port) as client:
        await client.send(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n")
        assert await refused(client) == (503, "no-agent")


async def test_while_a_relay_leaves_apps_wait_for_the_next_a_moment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecar, "HOLD_SECONDS", 0.2)
    with Target() as service:
        key, port, web = site.make_key(), free_port(), free_port()
        site.start_agent(key, f"{port}:{LOOPBACK}:{service.port},alias=orders")
        await site.attached(key)
        beside = site.start_sidecar(
            site.make_app(key=key), listen=None, http_proxy=(LOOPBACK, web), pause=never
        )
        await until(lambda: beside.sidecar.ports, "the service can be reached")
        site.relay.drain(60)
        await until(lambda: beside.sidecar.is_moving, "the relay leaves")
        [listener] = beside.sidecar._proxies._listeners
        assert listener.held
        with await Conversation.connect(web) as client:
            await client.send(b"CONNECT orders:80 HTTP/1.1\r\nHost: orders:80\r\n\r\n")
            assert await refused(client) == (503, "port-not-offered")
        assert not listener.held


async def test_an_address_that_is_taken_ends_the_sidecar_at_its_start(site: Site) -> None:
    with Target() as other:
        free = free_port()
        beside = site.start_sidecar(
            site.make_app(), socks=(LOOPBACK, free), http_proxy=(LOOPBACK, other.port)
        )
        with pytest.raises(Exception, match="--http-proxy") as failure:
            await beside.ended()
        assert getattr(failure.value, "reason", "") == "cannot-listen"
        with pytest.raises(ConnectionRefusedError):
            await Conversation.connect(free)


# --- bytes and endings --------------------------------------------------------------------------


async def test_what_came_with_the_request_is_the_streams_and_half_close_is_carried(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            with await Conversation.connect(way.socks) as app:
                await app.send(b"\x05\x01\x00" + b"\x05\x01\x00\x03\x06orders\x00\x50" + b"early")
                app.finish()
                with await service.accept() as there:
                    assert await there.rest() == b"early"
                    await there.send(b"answer" * 50_000)
                    there.finish()
                    success = b"\x05\x00" + b"\x05\x00\x00\x01" + bytes(6)
                    assert await app.rest() == success + b"answer" * 50_000


async def test_a_reset_on_either_side_is_one_on_the_other(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            with await way.tunnel("orders", 80) as app, await service.accept() as there:
                await head(app)
                await there.send(b"half")
                assert await app.exactly(4) == b"half"
                there.reset()
                await app.cut()
            app = await way.tunnel("orders", 80)
            there = await service.accept()
            await head(app)
            app.reset()
            await there.cut()


async def test_a_revoke_resets_what_runs_through_a_proxy(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            with await way.tunnel("orders", 80) as app, await service.accept() as there:
                await head(app)
                site.revoke_now(way.key)
                await app.cut()
                await there.cut()


# --- bounds -------------------------------------------------------------------------------------


async def test_an_app_that_does_not_say_where_to_is_reset(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "TALK_SECONDS", 0.05)
    with Target() as service:
        async with proxied(site, service.port) as way:
            with (
                await Conversation.connect(way.socks) as silent,
                await Conversation.connect(way.http) as slow,
            ):
                await slow.send(b"CONNECT ord")
                await silent.cut()
                await slow.cut()
            with await way.tunnel("example.com", 80) as refuses_to_go:
                assert await refused(refuses_to_go) == (403, "address-not-allowed")
                await until(lambda: not way.beside.sidecar._proxies.waiting, "it is reset")


async def test_only_so_many_wait_and_their_places_come_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "MAX_WAITING", 2)
    with Target() as service:
        async with proxied(site, service.port) as way:
            with await Conversation.connect(way.socks), await Conversation.connect(way.http):
                waiting = way.beside.sidecar._proxies.waiting
                await until(lambda: len(waiting) == 2, "both wait")
                with await Conversation.connect(way.http) as third:
                    await third.cut()
            await until(lambda: not waiting, "both have gone")
            with await way.tunnel("orders", 80) as app, await service.accept():
                assert (await head(app)).startswith(b"HTTP/1.1 200 ")
                assert not waiting


async def test_an_app_that_leaves_before_the_service_answers_leaves_nothing(site: Site) -> None:
    with Target() as service:
        async with proxied(site, service.port) as way:
            for _ in range(5):
                app = await way.tunnel("orders", 80)
                app.reset()
            mux = way.beside.sidecar._links.keepers[0].attachment
            assert mux is not None
            assert mux.mux is not None
            await until(lambda: not way.beside.sidecar._proxies.waiting, "nobody waits")
            await asyncio.wait_for(mux.mux.quiet.wait(), 20)


async def test_aliases_are_remembered_up_to_a_bound(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "MAX_ALIASES", 2)
    with Target() as service:
        async with proxied(site, service.port) as way:
            remembered = way.beside.sidecar._proxies
            for alias in ("one", "two"):
                agent = site.start_agent(way.key, f"{free_port()}:{LOOPBACK}:{service.port},alias={alias}")
                await until(lambda a=alias: a in way.beside.sidecar.ports.values(), "seen")  # type: ignore[misc]
                await agent.stop()
                await until(lambda a=alias: a not in way.beside.sidecar.ports.values(), "gone")  # type: ignore[misc]
            assert remembered.destination("orders", 80) == way.port
            found = [remembered.destination(alias, 80) for alias in ("one", "two")]
            reasons = [one.reason if not isinstance(one, int) else None for one in found]
            assert reasons == [ResetReason.ADDRESS_NOT_ALLOWED, ResetReason.PORT_NOT_OFFERED]
