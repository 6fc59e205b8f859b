"""`aditus keypair`: from a private key that no server sees to a secret file that every agent takes."""

import io
import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aditus.control.api.app import create_app
from aditus.crypto.keys import public_key
from aditus.domain.keytext import parse_access_key, parse_app_secret
from aditus.domain.relays import RelaySecret
from aditus.store.database import Database
from tests.cli.run import Ended, run
from tests.client.conftest import served
from tests.control_plane import CAPABILITY, REGION, ControlPlane
from tests.databases import opened_sqlite, sqlite

__all__ = ["opened_sqlite", "sqlite"]


@pytest.fixture
def plane(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPlane]:
    """A control plane that the commands ask, as its owner."""
    plane = ControlPlane(sqlite)
    with served(create_app(plane.services)) as port:
        monkeypatch.setenv("ADITUS_API", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ADITUS_TOKEN", plane.token)
        yield plane


def done(*words: str | Path) -> Ended:
    ended = run(*map(str, words))
    assert ended.code == 0, ended.err
    return ended


@pytest.mark.parametrize("form", ["base64url", "stdin", "pem"])
def test_a_secret_that_the_server_never_saw_is_one_that_it_knows(
    plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    private, public, secret = tmp_path / "plant.pem", tmp_path / "plant.pub", tmp_path / "plant.key"
    said = done("keypair", private)
    public.write_text(said.out)
    if form == "pem":
        subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True)
    if form == "stdin":
        monkeypatch.setattr(sys, "stdin", io.StringIO(said.out))
    given = "-" if form == "stdin" else public
    words = ("keys", "generate", "plant", "--capability", CAPABILITY, "--public-key", given, "-o", "json")
    told = json.loads(done(*words).out)
    assert "secret_access_key" not in told
    ended = done("keypair", private, "--key-id", told["key_id"], "--region", told["region"], "--out", secret)
    assert ended.out == ""
    parsed = parse_access_key(secret.read_text())
    assert (parsed.region, parsed.key_id) == (REGION, told["key_id"])
    assert plane.relays.known[parsed.key_id].secrets == (RelaySecret(public_key(parsed.secret)),)
    assert json.loads(done("keys", "verify", secret, "-o", "json").out)["key_id"] == parsed.key_id
    for file in (private, secret):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_key_is_rotated_to_a_pair_of_ones_own(plane: ControlPlane, tmp_path: Path) -> None:
    key = plane.generate("plant")
    public = tmp_path / "plant.pub"
    public.write_text(done("keypair", tmp_path / "plant.pem").out)
    ended = done("keys", "rotate", "plant", "--public-key", public)
    assert f"--key-id {key.key_id} --region {REGION}" in ended.err
    assert len(plane.relays.known[key.key_id].secrets) == 2


def test_an_app_has_a_credential_of_a_pair_of_ones_own(plane: ControlPlane, tmp_path: Path) -> None:
    plane.services.apps.create(plane.owner, "0", "shop", CAPABILITY)
    private, public, secret = tmp_path / "shop.pem", tmp_path / "shop.pub", tmp_path / "shop.secret"
    public.write_text(done("keypair", private).out)
    words = ("apps", "credential", "shop", "--public-key", public)
    ended = done(*words)
    assert "adta_" not in ended.said
    (made,) = plane.services.credentials.list(plane.owner, "0", "shop")
    assert f"--credential-id {made.credential_id} --out" in ended.err
    done("keypair", private, "--credential-id", made.credential_id, "--out", secret)
    parsed = parse_app_secret(secret.read_text().strip())
    assert parsed.key_id == made.credential_id
    told = plane.relays.told[-1].apps[0].credentials
    assert [one.public_key for one in told] == [public_key(parsed.secret)]
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    again = run(*map(str, words))
    assert (again.code, again.out) == (5, "")  # one pair is one credential
    public.write_text(done("keypair", tmp_path / "other.pem").out)
    assert set(json.loads(done(*words, "-o", "json").out)) >= {"credential_id", "app_id"}


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    private = tmp_path / "plant.pem"
    done("keypair", private)
    before = private.read_bytes()
    for words in ([], ["--key-id", "4gTkAbCdEf01", "--region", "local", "--out", str(private)]):
        ended = run("keypair", str(private), *words)
        assert (ended.code, ended.out) == (2, "")
        assert "exists" in ended.err
    assert private.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ["--key-id", "4gTkAbCdEf01"],
        ["--key-id", "short", "--region", "local", "--out", "OUT"],
        ["--key-id", "4gTkAbCdEf01", "--region", "NO", "--out", "OUT"],
        ["--key-id", "4gTkAbCdEf01", "--region", "local", "--out", "no/such/folder"],
        ["--credential-id", "short", "--out", "OUT"],
        ["--credential-id", "4gTkAbCdEf01"],
        ["--credential-id", "4gTkAbCdEf01", "--region", "local", "--out", "OUT"],
        ["--credential-id", "4gTkAbCdEf01", "--key-id", "4gTkAbCdEf01", "--region", "local", "--out", "OUT"],
    ],
)
def test_a_secret_is_made_of_what_can_be_right_alone(tmp_path: Path, words: list[str]) -> None:
    private, out = tmp_path / "plant.pem", tmp_path / "out"
    done("keypair", private)
    ended = run("keypair", str(private), *(str(out) if word == "OUT" else word for word in words))
    assert (ended.code, ended.out) == (2, "")
    assert not out.exists()


def test_what_is_no_key_is_said_without_showing_it(tmp_path: Path) -> None:
    private, out = tmp_path / "plant.pem", tmp_path / "out"
    rest = ("--key-id", "4gTkAbCdEf01", "--region", "local", "--out", str(out))
    encrypted = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for text in ("hunter2", encrypted):
        private.write_text(text)
        ended = run("keypair", str(private), *rest)
        assert ended.code == 2
        assert "hunter2" not in ended.said
    assert run("keypair", str(tmp_path / "nothing"), *rest).code == 2
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "x" * 44, "A" * 42, "-----BEGIN PUBLIC KEY-----\nx", "PRIVATE KEY"])
def test_a_public_key_is_one(plane: ControlPlane, tmp_path: Path, text: str) -> None:
    public = tmp_path / "plant.pub"
    public.write_text(text)
    words = ("keys", "generate", "plant", "--capability", CAPABILITY, "--public-key", str(public))
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
