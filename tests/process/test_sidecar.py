"""`aditus sidecar` as a process: how it ends, what it says where, and what it never says."""

import base64
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aditus.crypto.keys import random_id
from aditus.domain.keytext import format_app_secret, parse_app_secret
from demo.stage import aditus
from tests.ends import free_port
from tests.process.programs import (
    LOOPBACK,
    App,
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


@pytest.fixture(scope="module")
def server(data_folder: Callable[[], Path]) -> Iterator[Server]:
    """For all tests that leave it as it is; its relay has no app ports of its own."""
    with Server(data_folder(), "--app-listen", "off") as server:
        yield server


def forms(app: App) -> list[str]:
    """How a secret might look that got out."""
    text = app.secret.reveal()
    raw = parse_app_secret(text).secret
    encoded = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
    digits = text.split("_")[2]
    return [text, digits, raw.hex(), repr(raw)[2:-1], *(form.decode().rstrip("=") for form in encoded)]


def says(secret: App, *places: str) -> list[str]:
    """The places in which the secret is, in whatever form."""
    return [place for place in places for form in forms(secret) if form in place]


def test_the_search_finds_what_is_there(server: Server) -> None:
    app = server.app("found")
    assert all(says(app, f"somewhere {form} in a line") for form in forms(app))
    assert app.secret.reveal().startswith("adta_")


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "stdin", "environment"])
def test_it_starts_with_a_secret_from_wherever_it_may_be(server: Server, tmp_path: Path, place: str) -> None:
    key = server.generate(f"from-{place}")
    app = server.app(f"from-{place}", key)
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_text(f"{app.secret.reveal()}\n")
    words = {"file": ["--secret-file", str(file)], "stdin": ["--secret-file", "-"], "environment": []}[place]
    env = app.env if place == "environment" else {}
    stdin = app.secret.reveal() if place == "stdin" else ""
    with Service() as service, server.agent(key, service.spec) as agent:
        agent.err.wait("attached")
        with Program(server.sidecar_command(app, *words), env, stdin=stdin) as sidecar:
            sidecar.err.wait("listening")
            client, there = service.conversation()
            client.sendall(b"hello")
            assert exactly(there, 5) == b"hello"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_as_programs_do(server: Server, number: signal.Signals, code: int) -> None:
    key = server.generate(f"ended-by-{number}")
    with Service() as service, server.agent(key, service.spec):
        with server.sidecar(server.app(f"ended-by-{number}", key)) as sidecar:
            sidecar.err.wait("listening")
            client, there = service.conversation()
            client.sendall(b"hello")
            assert exactly(there, 5) == b"hello"
            assert sidecar.end(number) == code
            assert is_reset(client)
            assert is_reset(there)
        assert f"stopped by {number.name}" in sidecar.err.text
        assert "Traceback" not in sidecar.err.text


NO_KEY = (
    "no agent of the app's key offers a port now\n"
    "the app is associated with no access key; an administrator can do that\n"
)


def test_its_pages_say_what_it_waits_for_and_its_end_what_happened(server: Server, tmp_path: Path) -> None:
    """From the start to the revoke, at `--debug`; and the secret is in nothing that it says."""
    key, log, health = server.generate("canary"), tmp_path / "log", f"{LOOPBACK}:{free_port()}"
    app = server.app("canary")
    words = ("--debug", "--log-format", "json", "--log-file", str(log), "--health-listen", health)
    pages: list[str] = []

    def ready() -> str:
        pages.extend(get(f"http://{health}/{page}")[1] for page in ("healthz", "metrics"))
        status, page = get(f"http://{health}/readyz")
        pages.append(page)
        assert (status == 200) == (page == "ready\n")
        return page

    with Service() as service, server.sidecar(app, *words) as sidecar, server.client() as client:
        sidecar.err.wait('"attached"')
        until(lambda: ready() == NO_KEY, ready)
        client.associate(app.name, key.access_key_id)
        with server.agent(key, service.spec):
            until(lambda: ready() == "ready\n", ready)
            at_app, there = service.conversation()
            at_app.sendall(b"hello")
            assert exactly(there, 5) == b"hello"
            client.dissociate(app.name)
            assert is_reset(at_app)
            until(lambda: ready() == NO_KEY, ready)
        command = Path(f"/proc/{sidecar.pid}/cmdline")
        said = [command.read_text()] if command.exists() else []  # elsewhere than on Linux: `ps` says no more
        client.revoke_credential(app.name, app.credential_id)
        assert sidecar.end() == 3
    assert "The app's credential was revoked" in sidecar.err.text
    assert not says(app, sidecar.out.text, sidecar.err.text, log.read_text(), *pages, *said)
    again = server.sidecar(app, *words)
    assert again.ended().code == 3
    assert not says(app, again.err.text, log.read_text())


def test_what_cannot_be_a_secret_is_refused_offline_and_not_repeated(server: Server) -> None:
    app = server.app("typo")
    text = app.secret.reveal()
    typo = text[:-1] + ("0" if text[-1] != "0" else "1")
    for env, stdin, words in (
        ({"ADITUS_APP_SECRET": typo}, "", ()),
        ({}, typo, ("--secret-file", "-")),
        ({}, "", ()),
    ):
        relay = ("--relay", "wss://nobody.invalid", "--health-listen", "off")
        ended = run("sidecar", "--app", app.name, *relay, *words, env=env, stdin=stdin)
        assert ended.code == 2
        assert typo.split("_")[2] not in ended.out + ended.err


def test_a_secret_that_nobody_knows_is_refused(server: Server) -> None:
    app = server.app("stranger")
    parsed = parse_app_secret(app.secret.reveal())
    wrong = App(app.name, random_id(), format_app_secret(random_id(), parsed.secret))
    with server.sidecar(wrong) as sidecar:
        assert sidecar.end() == 3
    assert not says(wrong, sidecar.err.text)


def test_a_certificate_that_is_not_trusted_ends_it_before_the_first_attach(server: Server) -> None:
    app = server.app("distrustful")
    relay = ("--relay", f"wss://localhost:{server.relay_port}", "--health-listen", "off")
    with Program(aditus("sidecar", "--app", app.name, *relay), app.env) as sidecar:
        assert sidecar.end() == 6
    assert not says(app, sidecar.err.text)


def test_a_local_port_that_is_taken_is_said_and_costs_the_others_nothing(server: Server) -> None:
    key, taken = server.generate("crowded"), free_port()
    health = f"{LOOPBACK}:{free_port()}"
    with Service() as service, server.agent(key, service.spec) as agent, occupied(taken):
        agent.err.wait("attached")
        ports = ("-p", f"{taken}:{service.app_port}", "-p", f"{service.app_port}")
        with server.sidecar(server.app("crowded", key), *ports, "--health-listen", health) as sidecar:
            line = sidecar.err.wait(f"the local port {taken} cannot be had")
            assert f"-p LOCAL:{service.app_port}" in line
            sidecar.err.wait("listening")
            client, there = service.conversation()
            client.sendall(b"hello")
            assert exactly(there, 5) == b"hello"
            assert get(f"http://{health}/readyz") == (503, f"local port {taken}: another program has it\n")
