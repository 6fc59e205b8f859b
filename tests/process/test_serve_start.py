"""`aditus serve`: from an empty folder, a second time, as others reach it, and how it ends."""

import re
import signal
import socket
import ssl
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from aditus.crypto import devca
from demo.postgres import free_port
from demo.stage import aditus
from tests.process.programs import (
    LOOPBACK,
    PATIENCE,
    Program,
    Server,
    Service,
    contents,
    exactly,
    get,
    is_reset,
    occupied,
    together,
)

pytestmark = pytest.mark.timeout(180)  # a fixture starts many servers, on a machine that may be busy

DRAIN_SECONDS = 10.0  # what SIGTERM gives to running streams; what ends "at once" ends well before


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@dataclass(frozen=True, slots=True)
class Served:
    """Servers of each kind."""

    own: Server  # with a certificate of one's own
    open: Server  # whose API others can reach
    proxied: Server  # whose API has a proxy in front
    leaving: Server  # which will be told to end
    hurried: Server  # which will be told twice
    on_terminal: Server  # where somebody has the default port of the metrics already


@pytest.fixture(scope="module")
def served(data_folder: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """They start together, as each takes more than a second."""
    folder = tmp_path_factory.mktemp("own")
    authority = devca.new_authority(time.time())
    pair = devca.issue(authority, ["relay.example.com"], time.time())
    for name, content in (
        ("own-ca.pem", authority.certificate), ("own.pem", pair.certificate), ("own.key", pair.key)
    ):  # fmt: skip
        (folder / name).write_bytes(content)
    own = Server(data_folder(), "--tls-cert", str(folder / "own.pem"), "--tls-key", str(folder / "own.key"))
    own.words += ("--public-url", f"wss://localhost:{own.relay_port}")
    own.ca_file = folder / "own-ca.pem"
    servers = Served(
        own,
        Server(data_folder(), api_host="0.0.0.0"),
        Server(data_folder(), "--trusted-proxy", "127.0.0.2/32", api_host="0.0.0.0"),
        Server(data_folder()),
        Server(data_folder()),
        Server(data_folder(), terminal=True),
    )
    with occupied(9464), together(*(getattr(servers, field.name) for field in fields(servers))):
        yield servers


# --- the first start, and the second ----------------------------------------------------------


def test_from_an_empty_folder_it_makes_everything_and_a_second_start_finds_it(tmp_path: Path) -> None:
    data, metrics = tmp_path / "new" / "data", f"{LOOPBACK}:{free_port()}"
    with Server(data, "--metrics-listen", metrics) as server:
        # A password is told once, on stdout and alone there; people are told what to do next on stderr.
        out = server.program.out.text
        password = re.fullmatch(r"password: (\S{16,})\n", out)
        assert password
        assert "aditus keys generate" in server.program.err.text
        assert password[1] not in server.program.err.text
        # Nobody else can read what is secret.
        assert mode(data) == 0o700
        for name in ("aditus.db", "owner.token", "ca-key.pem", "server-key.pem"):
            assert mode(data / name) == 0o600, name
        # The token is the owner's, of an organisation with all that a first key needs.
        with server.client() as client:
            owner, default = client.userinfo(), client.subscription()
        assert (owner.name, owner.organization, owner.role) == ("owner@localhost", "default", "owner")
        assert (default.subscription.name, default.subscription.capabilities) == ("default", ("integration",))
        assert default.subscription.regions == ("local",)
        # The certificate is good for the three names of this machine.
        assert names_in_certificate(server) == {"localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"}
        key = server.generate("kept")
        assert "aditus_tunnels" in get(f"http://{metrics}/metrics")[1]
        assert server.program.end(signal.SIGTERM) == 0
        assert "\x1b" not in server.program.err.text  # colours are for terminals
    # An orderly end leaves one database file and no log beside it.
    before = contents(data)
    pems = {"ca.pem", "ca-key.pem", "server.pem", "server-key.pem"}
    assert set(before) == {"aditus.db", "owner.token", *pems}

    with server:
        assert server.program.out.text == ""
        assert "first start" not in server.program.err.text
        with server.client() as client:
            assert client.userinfo() == owner
            assert client.show_key("kept").connect_url == key.url
        assert server.program.end(signal.SIGINT) == 130
    after = contents(data)
    assert {name: after[name] for name in after if name != "aditus.db"} == {
        name: before[name] for name in before if name != "aditus.db"
    }


def names_in_certificate(server: Server) -> set[str]:
    """The names of the certificate that the relay shows; each is verified against ca.pem."""
    context = ssl.create_default_context(cafile=server.ca_file)
    names: set[str] = set()
    for host in ("localhost", "127.0.0.1", "::1"):
        with (
            socket.create_connection((LOOPBACK, server.relay_port)) as sock,
            context.wrap_socket(sock, server_hostname=host) as tls,
        ):
            found = tls.getpeercert()
            assert found
            names |= {str(name[1]) for name in found["subjectAltName"]}
    return names


# --- a terminal, and the default port of the metrics ------------------------------------------


def test_on_a_terminal_it_is_coloured_and_a_taken_default_port_is_a_warning(served: Served) -> None:
    server = served.on_terminal
    said = server.program.out.text
    assert "\x1b[1mNext, in another terminal\x1b[0m" in said
    assert "127.0.0.1:9464 cannot be listened on: address already in use; going on" in said
    assert get(f"{server.api_url}/healthz")[0] == 200
    assert server.program.end(signal.SIGINT) == 130


# --- who is reached, and how ------------------------------------------------------------------


def test_a_certificate_of_ones_own_is_served_and_agents_that_trust_its_authority_attach(
    served: Served,
) -> None:
    server = served.own
    assert "--ca-file" not in server.program.err.text  # what to do next needs none
    key = server.generate("own")
    assert key.url.startswith(f"wss://localhost:{server.relay_port}/connect/")
    with Service() as service:
        with server.agent(key, service.spec) as agent:
            agent.err.wait("attached")
            app, end = service.conversation()
            app.sendall(b"through")
            assert exactly(end, 7) == b"through"
        server.ca_file = server.data / "ca.pem"  # the development CA, which has nothing to do with it
        with server.agent(key, service.spec) as agent:
            refused = agent.ended()
    assert refused.code == 6
    assert "is not trusted" in refused.err


def test_an_api_that_others_can_reach_speaks_tls(served: Served) -> None:
    server = served.open
    url = f"https://localhost:{server.api_port}"
    assert get(f"{url}/healthz", server.ca_file)[0] == 200
    with socket.create_connection((LOOPBACK, server.api_port)) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not plain.recv(4096).startswith(b"HTTP/1.1 200")
    # What it says to do next works as it stands there.
    export = server.program.err.wait("export ADITUS_API=").strip()
    assert export.startswith(f"export ADITUS_API={url} ")
    with Program(["/bin/sh", "-c", f'{export} && exec "$0" whoami', *aditus()]) as whoami:
        assert "owner@localhost" in whoami.ended().out


def test_behind_a_trusted_proxy_it_is_plain_and_answers_that_proxy_alone(served: Served) -> None:
    server = served.proxied

    def ask(source: str, headers: Sequence[str] = ()) -> bytes:
        with socket.create_connection(
            (LOOPBACK, server.api_port), PATIENCE, source_address=(source, 0)
        ) as sock:
            lines = ("GET /v1/userinfo HTTP/1.1", "Host: localhost", "Connection: close", *headers)
            sock.sendall("\r\n".join((*lines, f"Authorization: Bearer {server.token}", "", "")).encode())
            return b"".join(iter(lambda: sock.recv(65_536), b""))

    assert ask("127.0.0.2").startswith(b"HTTP/1.1 200")
    assert ask("127.0.0.2", ["X-Forwarded-For: 203.0.113.9"]).startswith(b"HTTP/1.1 200")
    assert ask("127.0.0.1").startswith(b"HTTP/1.1 403")
    assert ask("127.0.0.1", ["X-Forwarded-For: 127.0.0.2"]).startswith(b"HTTP/1.1 403")


# --- how it ends ------------------------------------------------------------------------------


def test_sigterm_lets_a_running_transfer_finish(served: Served) -> None:
    server = served.leaving
    key = server.generate("draining")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        app, end = service.conversation()
        end.sendall(b"first half, ")
        assert exactly(app, 12) == b"first half, "
        server.program.send(signal.SIGTERM)
        agent.err.wait("the relay is leaving")
        end.sendall(b"second half")
        end.close()
        assert exactly(app, 11) == b"second half"
        assert app.recv(1) == b""  # a clean end
        app.close()
        assert server.program.end() == 0
        agent.err.wait("retry_in")  # it goes on asking for a relay


def test_a_second_sigterm_ends_at_once(served: Served) -> None:
    server = served.hurried
    key = server.generate("cut")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        app, _ = service.conversation()
        server.program.send(signal.SIGTERM)
        agent.err.wait("the relay is leaving")
        assert server.program.end(signal.SIGTERM, DRAIN_SECONDS / 2) == 0
        assert is_reset(app)
