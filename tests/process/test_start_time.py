"""What a short-lived command loads: the installed `aditus` itself, with Python telling each import."""

import subprocess
import sys

import pytest

from demo.stage import aditus

SERVER = {"fastapi", "pydantic", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "argon2"}
NETWORK = {"asyncio", "picows", "aiofastnet", "uvloop", "cryptography", "jwt", "httpx2"}
ROOMS = {f"aditus.{room}" for room in ("wiring", "control", "relay", "store", "net", "client", "crypto")}


def loaded_by(*words: str) -> set[str]:
    """The modules that a command line loads, and the packages that they are in."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *aditus(*words)], capture_output=True, text=True, check=True
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return {".".join(name.split(".")[:depth]) for name in modules for depth in (1, 2, 3)}


@pytest.mark.parametrize("words", [("--version",), ("connect", "--help")], ids=" ".join)
def test_a_question_loads_nothing_that_serves_or_dials(words: tuple[str, ...]) -> None:
    loaded = loaded_by(*words)
    assert "aditus.cli.main" in loaded
    assert not loaded & (SERVER | NETWORK | ROOMS)
