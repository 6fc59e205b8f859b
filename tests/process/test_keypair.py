"""A secret that no server has seen, from two machines' points of view, as docs/access-keys.md tells it."""

import json
from pathlib import Path

import pytest

from aditus.crypto.keys import public_key
from aditus.domain.keytext import parse_access_key
from demo.stage import aditus
from tests.control_plane import CAPABILITY
from tests.process.programs import PATIENCE, Ended, Program, Server, Service, contents, exactly, run

pytestmark = pytest.mark.timeout(180)  # a busy machine starts a program in several seconds


def done(ended: Ended) -> str:
    """What it printed."""
    assert ended.code == 0, ended.err
    return ended.out


def made(folder: Path, name: str) -> tuple[Path, Path]:
    """In the private network: a new private key, and its public half to take along."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    public.write_text(done(run("keypair", str(private))))
    return private, public


def secret_of(private: Path, told: str) -> Path:
    """Back there: the secret file, made with what the administrator brought."""
    key = json.loads(told)
    out = private.with_suffix(".key")
    done(
        run("keypair", str(private), "--key-id", key["key_id"], "--region", key["region"], "--out", str(out))
    )
    return out


def accepted(server: Server, secret: Path) -> Ended:
    relay = f"wss://localhost:{server.relay_port}"
    words = ("--online", "--relay", relay, "--ca-file", str(server.ca_file))
    return run("keys", "verify", str(secret), *words)


def agent(server: Server, secret: Path, service: Service, url: str) -> Program:
    trust = ("--ca-file", str(server.ca_file), "--health-listen", "off")
    words = ("connect", "--access-key-file", str(secret), *trust, "-s", service.spec, url)
    return Program(aditus(*words), {})


def talks(service: Service) -> None:
    app, peer = service.conversation()
    app.settimeout(PATIENCE)
    app.sendall(b"question")
    assert exactly(peer, 8) == b"question"
    peer.sendall(b"answer")
    assert exactly(app, 6) == b"answer"


def test_an_agent_attaches_by_a_secret_that_the_server_never_had_and_by_the_next_one(
    server: Server, tmp_path: Path
) -> None:
    admin = {"ADITUS_API": server.api_url, "ADITUS_TOKEN": server.token}
    private, public = made(tmp_path, "first")
    words = ("keys", "generate", "own-pair", "--capability", CAPABILITY, "--public-key", str(public))
    told = done(run(*words, "-o", "json", env=admin))
    url = json.loads(told)["connect_url"]
    first = secret_of(private, told)
    with Service() as service, agent(server, first, service, url) as attached:
        attached.err.wait(" attached")
        talks(service)

        private, public = made(tmp_path, "second")
        told = done(
            run("keys", "rotate", "own-pair", "--now", "--public-key", str(public), "-o", "json", env=admin)
        )
        second = secret_of(private, told)
        refused = attached.ended()
        assert refused.code == 3
        assert "replaced" in refused.err
    assert accepted(server, first).code == 3
    assert accepted(server, second).code == 0
    with Service() as service, agent(server, second, service, url) as attached:
        attached.err.wait(" attached")
        talks(service)

    kept = contents(server.data)
    for secret in (first, second):
        seed = parse_access_key(secret.read_text()).secret
        assert any(public_key(seed) in content for content in kept.values())  # that is what is kept
        for part in (seed, secret.read_text().split("_")[3].encode()):
            assert not [name for name, content in kept.items() if part in content]
