"""`aditus connect` as a process: how it ends, what it says where, and what it never says."""

import errno
import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from aditus.crypto import devca
from aditus.crypto.keys import random_connect_id, random_id
from aditus.domain.keytext import SecretText, format_access_key
from demo.postgres import free_port
from demo.stage import aditus
from tests.process.programs import (
    LOOPBACK,
    PATIENCE,
    Ended,
    Key,
    Program,
    Server,
    Service,
    exactly,
    get,
    is_reset,
    occupied,
    run,
    until,
)

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a program in several seconds

TEXT_LINE = re.compile(r"\d\d:\d\d:\d\d (DEBUG|INFO |WARNING) \S.*")


def parts(secret: SecretText) -> tuple[str, str]:
    """What must be seen nowhere: the whole text, and its secret digits alone."""
    return secret.reveal(), secret.reveal().split("_")[3]


def is_refused(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((LOOPBACK, port)) == errno.ECONNREFUSED


# --- how it ends without having been attached -------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """What a case may use."""

    server: Server
    key: Key  # a good one
    folder: Path

    def connect(self, *words: str, url: str = "", ca_file: Path | None = None) -> list[str]:
        defaults = ["--ca-file", str(ca_file or self.server.ca_file)]
        if "--health-listen" not in words:
            defaults += ["--health-listen", "off"]
        if "-s" not in words:
            defaults += ["-s", f"{free_port()}:{LOOPBACK}:1"]
        return aditus("connect", *defaults, *words, url or self.key.url)


Case = Callable[[Place], tuple[list[str], Mapping[str, str]]]
"""A command line that ends by itself, and its environment."""


def unknown_key(place: Place) -> tuple[list[str], Mapping[str, str]]:
    secret = format_access_key("local", random_id(), os.urandom(32))
    return place.connect(), {"ADITUS_ACCESS_KEY": secret.reveal()}


def wrong_secret(place: Place) -> tuple[list[str], Mapping[str, str]]:
    """The right key_id with another secret."""
    key_id = place.key.secret.reveal().split("_")[2]
    secret = format_access_key("local", key_id, os.urandom(32))
    return place.connect(), {"ADITUS_ACCESS_KEY": secret.reveal()}


def wrong_region(place: Place) -> tuple[list[str], Mapping[str, str]]:
    secret = format_access_key("eu-9", random_id(), os.urandom(32))
    return place.connect(), {"ADITUS_ACCESS_KEY": secret.reveal()}


def unknown_url(place: Place) -> tuple[list[str], Mapping[str, str]]:
    url = place.key.url.rpartition("/")[0] + "/" + random_connect_id()
    return place.connect(url=url), place.key.env


def untrusted_authority(place: Place) -> tuple[list[str], Mapping[str, str]]:
    other = place.folder / "other-ca.pem"
    other.write_bytes(devca.new_authority(time.time()).certificate)
    return place.connect(ca_file=other), place.key.env


def missing_ca_file(place: Place) -> tuple[list[str], Mapping[str, str]]:
    return place.connect(ca_file=place.folder / "missing.pem"), place.key.env


def bad_spec(place: Place) -> tuple[list[str], Mapping[str, str]]:
    return place.connect("-s", "5432:db:port"), place.key.env


def malformed_key(place: Place) -> tuple[list[str], Mapping[str, str]]:
    """It is found offline: nobody listens where it would have to ask."""
    command = place.connect(url=f"wss://localhost:{free_port()}/connect")
    return command, {"ADITUS_ACCESS_KEY": place.key.secret.reveal()[:-1]}


def health_port_taken(place: Place) -> tuple[list[str], Mapping[str, str]]:
    return place.connect("--health-listen", f"{LOOPBACK}:{place.server.relay_port}"), place.key.env


CASES: dict[Case, tuple[int, str]] = {
    unknown_key: (3, "The relay does not know this access key"),
    wrong_secret: (3, "The relay does not know this access key"),
    wrong_region: (3, "The access key belongs to another region than this relay."),
    unknown_url: (4, "has no such Connect URL, or it is another key's."),
    untrusted_authority: (6, "is not trusted"),
    missing_ca_file: (2, "missing.pem cannot be used: no such file or directory."),
    bad_spec: (2, "appPort:host:port"),
    malformed_key: (2, "The secret access key from ADITUS_ACCESS_KEY cannot be right."),
    health_port_taken: (2, "cannot be listened on: address already in use."),
}
"""The exit code, and what people read."""


@pytest.fixture(scope="module")
def ends(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Case, Ended]:
    """How they all end, two at a time."""
    place = Place(server, server.generate("good"), tmp_path_factory.mktemp("cases"))

    def end(case: Case) -> Ended:
        command, env = case(place)
        with Program(command, env) as program:
            return program.ended()

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CASES, pool.map(end, CASES), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_what_cannot_be_helped_ends_at_once_with_its_code_and_one_line(
    ends: Mapping[Case, Ended], case: Case
) -> None:
    code, why = CASES[case]
    ended = ends[case]
    assert ended.code == code, ended
    assert ended.out == ""
    assert why in ended.err
    assert len(ended.err.splitlines()) == 1  # and no word of trying again
    assert ended.err.startswith("aditus: ")


# --- attached ---------------------------------------------------------------------------------


def test_a_revoked_key_ends_an_attached_agent_with_3(server: Server) -> None:
    key = server.generate("to-be-revoked")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        app, end = service.conversation()
        server.revoke(key)
        assert is_reset(app)
        assert is_reset(end)
        assert agent.end() == 3
        assert agent.err.lines[-1].startswith("aditus: The access key was revoked.")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_it_and_its_tunnel(server: Server, number: signal.Signals, code: int) -> None:
    key = server.generate(f"ended-by-{number.name}")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        assert key.access_key_id in server.attached()
        assert agent.end(number) == code
        assert number.name in agent.err.lines[-1]
        until(lambda: key.access_key_id not in server.attached(), "its tunnel is gone")


def test_kill_9_resets_its_apps_at_once_and_closes_its_door(server: Server) -> None:
    key = server.generate("killed")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        app, end = service.conversation()
        end.sendall(b"half of a tr")
        assert exactly(app, 12) == b"half of a tr"
        agent.kill()
        assert is_reset(app)
        until(lambda: is_refused(service.app_port), "apps are refused")


# --- what it says, and what it never says -----------------------------------------------------


def test_the_secret_is_in_no_process_list_and_in_no_log(server: Server, tmp_path: Path) -> None:
    """Neither from the environment nor from a file, at the most talkative; not even when an app says it."""
    key = server.generate("secret")
    file, log = tmp_path / "secret.key", tmp_path / "agent.log"
    file.touch(mode=0o600)
    file.write_text(key.secret.reveal() + "\n")
    talkative = ("--debug", "--payload", "--log-file", str(log))
    with Service() as service, server.agent(key, service.spec, words=talkative) as from_env:
        from_env.err.wait("attached")
        app, end = service.conversation()
        told = b"hello, my key is " + key.secret.reveal().encode()
        app.sendall(told)
        assert exactly(end, len(told)) == told
        from_env.err.wait("hello, my key is ")  # it does log what passes
        with Program(
            server.agent_command(key, service.spec, words=("--access-key-file", str(file), "-d"))
        ) as from_file:
            from_file.err.wait("attached")
            for agent in (from_env, from_file):
                argv = Path(f"/proc/{agent.pid}/cmdline").read_text().split("\0")
                assert agent.command[1] in argv
                assert not any(part in word for part in parts(key.secret) for word in argv)
            assert from_file.end(signal.SIGTERM) == 0
        assert from_env.end(signal.SIGTERM) == 0
    assert "hello, my key is " in log.read_text()
    for said in (
        from_env.out.text,
        from_env.err.text,
        from_file.out.text,
        from_file.err.text,
        log.read_text(),
    ):
        assert not any(part in said for part in parts(key.secret))
        assert "Bearer" not in said
        assert "eyJ" not in said  # how every signed proof begins


def test_in_a_pipe_it_logs_lines(server: Server) -> None:
    key = server.generate("lines")
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        assert agent.end(signal.SIGTERM) == 0
    assert agent.out.text == ""
    for line in agent.err.lines:
        assert TEXT_LINE.fullmatch(line)
    assert "\x1b" not in agent.err.text


def test_for_machines_it_logs_lines_of_json_and_a_taken_default_health_port_is_a_warning(
    server: Server,
) -> None:
    key = server.generate("json")
    with (
        Service() as service,
        occupied(3127),
        Program(
            aditus(
                *("connect", "--log-format", "json", "--ca-file", str(server.ca_file)),
                *("-s", service.spec, key.url),
            ),
            key.env,
        ) as agent,
    ):
        agent.err.wait('"attached"')
        assert agent.end(signal.SIGTERM) == 0
    entries = [json.loads(line) for line in agent.err.lines]
    assert all({"ts", "level", "event", "fields"} <= entry.keys() for entry in entries)
    warned = next(entry for entry in entries if entry["level"] == "warning")
    assert "127.0.0.1:3127 cannot be listened on" in warned["event"]
    attached = next(entry for entry in entries if entry["event"] == "attached")
    assert attached["fields"]["ports"] == [service.app_port]


def test_on_a_terminal_a_status_line_lives(server: Server) -> None:
    key = server.generate("terminal")
    with Service() as service, server.agent(key, service.spec, terminal=True) as agent:
        agent.out.wait(f"localhost:{server.relay_port}  \x1b[32mattached")
        app, end = service.conversation()
        app.sendall(b"x" * 1234)
        assert exactly(end, 1234)
        line = agent.out.wait("1 streams  in 1.23 kB, out 0 B")
        assert f"ports {service.app_port}" in line
        assert "\x1b[1A\r" in agent.out.text  # it is drawn over the last one
        assert not any(TEXT_LINE.search(line) for line in agent.out.lines)  # and no log runs through it
        assert agent.end(signal.SIGINT) == 130


# --- health -----------------------------------------------------------------------------------


def test_health_and_readiness_tell_the_truth(data_folder: Callable[[], Path]) -> None:
    health = f"{LOOPBACK}:{free_port()}"

    def ready() -> tuple[int, str]:
        return get(f"http://{health}/readyz")

    with Server(data_folder()) as server, socket.create_server((LOOPBACK, 0)) as silent, Service() as service:
        key = server.generate("healthy")
        # Somebody answers the call and says nothing: it lives, and is of no use yet.
        nowhere = f"wss://localhost:{silent.getsockname()[1]}/connect"
        with Program(
            aditus("connect", "--health-listen", health, "-s", service.spec, nowhere), key.env
        ) as agent:
            silent.settimeout(PATIENCE)
            silent.accept()[0].close()
            status, why = ready()
            assert (status, "no link is up: localhost:" in why) == (503, True)
            assert get(f"http://{health}/healthz") == (200, "ok\n")
            assert agent.end(signal.SIGTERM) == 0
        # Attached, it is ready, as long as what it offers could be reached the last time.
        dead_port = free_port()
        specs = (service.spec, f"{dead_port}:{LOOPBACK}:{free_port()}")
        with server.agent(key, *specs, words=("--health-listen", health)) as agent:
            agent.err.wait("attached")
            assert ready() == (200, "ready\n")
            with (  # at the latest; on a busy machine the reset is there before connect() has looked
                pytest.raises(ConnectionResetError),
                socket.create_connection((LOOPBACK, dead_port), PATIENCE) as app,
            ):
                app.recv(1)
            assert ready() == (503, f"spec {specs[1]}: target-refused\n")
            assert get(f"http://{health}/healthz") == (200, "ok\n")
            service.conversation()
            assert ready()[0] == 503  # the other spec is none the better for it
            with socket.create_server((LOOPBACK, int(specs[1].rpartition(":")[2]))) as late:
                with socket.create_connection((LOOPBACK, dead_port), PATIENCE) as app:
                    late.settimeout(PATIENCE)
                    late.accept()[0].close()
                    assert app.recv(1) == b""
                assert ready() == (200, "ready\n")
            # Without its relay it is of no use, and says which one.
            server.kill()
            agent.err.wait("retry_in")
            status, why = ready()
            assert (status, f"localhost:{server.relay_port} " in why) == (503, True)
            assert get(f"http://{health}/healthz") == (200, "ok\n")


# --- profiles ---------------------------------------------------------------------------------


def test_what_configure_stored_connects_without_a_url(server: Server, tmp_path: Path) -> None:
    key = server.generate("profiled")
    home = {"HOME": str(tmp_path)}
    relay = f"wss://localhost:{server.relay_port}"
    stored = run(
        *("configure", "--profile", "plant", "--relay", relay, "--access-key-file", "-"),
        env=home,
        stdin=key.secret.reveal(),
    )
    assert (stored.code, stored.out) == (0, "")
    assert not any(part in stored.err for part in parts(key.secret))
    with (
        Service() as service,
        Program(
            aditus(
                *("connect", "--profile", "plant", "--ca-file", str(server.ca_file)),
                *("--health-listen", "off", "-s", service.spec),
            ),
            home,
        ) as agent,
    ):
        agent.err.wait("attached")
        app, end = service.conversation()
        app.sendall(b"by profile")
        assert exactly(end, 10) == b"by profile"
        assert agent.end(signal.SIGTERM) == 0
