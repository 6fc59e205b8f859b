"""Whatever goes wrong becomes one line on stderr and a code; and what is not needed is not loaded."""

import importlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from aditus import __version__
from aditus.cli import exits
from aditus.cli.main import COMMANDS, root
from aditus.domain.errors import AditusError, Code
from tests.cli.run import PROGRAM, SECRET, run, run_process, secret_parts

FULL = Path("/dev/full")
Plant = Callable[[Callable[[], object]], None]


@pytest.fixture
def plant(monkeypatch: pytest.MonkeyPatch) -> Plant:
    """Makes `aditus planted` do something."""

    def plant(action: Callable[[], object]) -> None:
        module = SimpleNamespace(command=click.Command("planted", callback=action))
        monkeypatch.setitem(COMMANDS, "planted", "planted")
        monkeypatch.setitem(sys.modules, "aditus.cli.planted", module)

    return plant


def raising(error: BaseException) -> Callable[[], object]:
    def action() -> None:
        raise error

    return action


def paths(command: click.Command = root, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, as words."""
    found = [path]
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            found += paths(child, (*path, name))
    return found


# --- how a command ends -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        (Code.INVALID, 2),
        (Code.UNAUTHENTICATED, 3),
        (Code.FORBIDDEN, 3),
        (Code.NOT_FOUND, 4),
        (Code.CONFLICT, 5),
        (Code.LIMIT, 5),
        (Code.UNAVAILABLE, 6),
        (Code.INTERNAL, 1),
    ],
)
def test_each_kind_of_failure_is_one_line_and_a_code(plant: Plant, code: Code, exit_code: int) -> None:
    plant(raising(AditusError(code, "token", "What happened.", remedy="What to do.")))
    ended = run("planted")
    assert (ended.code, ended.out) == (exit_code, "")
    assert ended.err == "aditus: What happened. What to do.\n"


def test_every_kind_of_failure_has_a_code() -> None:
    assert set(exits.BY_CODE) == set(Code)


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (4, 4)])
def test_a_command_can_say_its_code(plant: Plant, result: int | None, code: int) -> None:
    plant(lambda: result)
    assert run("planted").code == code


def test_an_interrupt_is_130(plant: Plant) -> None:
    plant(raising(KeyboardInterrupt()))
    ended = run("planted")
    assert (ended.code, ended.said.strip()) == (130, "")


def test_a_defect_is_one_line_without_its_text(plant: Plant) -> None:
    plant(raising(LookupError(f"no {SECRET.reveal()}")))
    ended = run("planted")
    assert (ended.code, ended.out) == (1, "")
    assert (
        ended.err == "aditus: internal error: LookupError; run it again as `aditus --debug …` for details\n"
    )


@pytest.mark.parametrize("way", ["option", "variable"])
def test_a_defect_shows_where_it_arose_on_demand_and_still_no_secret(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    plant(raising(LookupError(f"no {SECRET.reveal()}")))
    if way == "variable":
        monkeypatch.setenv("ADITUS_DEBUG", "1")
    ended = run(*(["--debug"] if way == "option" else []), "planted")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert "LookupError: no adt_eu-1_AbC…_****" in ended.err
    assert not any(part in ended.said for part in secret_parts())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nope"], "aditus: No such command 'nope'. Try: aditus --help\n"),
        (["keys", "nope"], "Try: aditus keys --help\n"),
        (["connect", "--nope"], "Try: aditus connect --help\n"),
        (["serve"], "--data"),
        (["keys", "generate", "x"], "--capability"),
        (["keys", "generate", "x", "--capability", "c", "--expires", "soon"], "a time span is"),
        (["keys", "generate", "x", "--capability", "c", "--expires", "9999999w"], "a time span is"),
        (["keys", "list", "-o", "xml"], "xml"),
        (["probe"], "--http"),
    ],
)
def test_a_command_line_that_cannot_be_right_is_2(words: list[str], says: str) -> None:
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("aditus: ")
    assert says in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("words", [[], ["keys"], ["apps"]])
def test_half_a_command_shows_what_there_is(words: list[str]) -> None:
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err


S = SECRET.reveal()


@pytest.mark.parametrize(
    "words",
    [
        [S],
        ["connect", S],
        ["connect", "-s", S, "wss://h/connect/a"],
        ["connect", "-s", "a:1", f"wss://h/connect/{S}"],
        ["connect", "-s", "a:1", "--relay", S],
        ["connect", "-s", "a:1", "--profile", S, "wss://h/connect/a"],
        ["connect", "-s", "a:1", "--health-listen", S, "--access-key", S, "wss://h/connect/a"],
        ["connect", f"--nope={S}"],
        ["connect", f"--debug={S}"],
        ["connect", "--log-format", S],
        ["connect", "--access-key-file", S, "-s", "a:1"],
        ["configure", S],
        ["configure", "--relay", S],
        ["configure", "--profile", f"{S}]", "--access-key", S],
        ["configure", "--access-key", S[:-1]],
        ["configure", "--basicauth", "--password", S],
        ["serve", "--data", "d", "--region", S],
        ["serve", "--data", "d", "--api-listen", S],
        ["keys", S],
        ["keys", "verify", S],
        ["login", S],
        ["login", "http://127.0.0.1:1", "--token-file", S],
        ["probe", "--http", S],
        ["--debug", "keys", "list", "--api", S],
    ],
    ids=" ".join,
)
def test_a_secret_in_the_wrong_place_is_not_shown_again(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    ended = run(*words)
    assert ended.code == 2
    assert not any(part in ended.said for part in (*secret_parts(), S[:-1]))


# --- what there is ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", paths(), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    ended = run(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"Usage: {' '.join(('aditus', *path))} ")
    assert (
        "..." not in ended.out.partition("Commands:")[2]
    )  # each first sentence is short enough for its list


def test_every_module_of_a_command_is_there() -> None:
    for module in COMMANDS.values():
        assert isinstance(importlib.import_module(f"aditus.cli.{module}").command, click.Command)


@pytest.mark.parametrize("command", ["keys", "apps", "tunnels", "audit", "tokens", "whoami"])
def test_every_command_that_prints_data_prints_json(command: str) -> None:
    silent = {("apps", "delete"), ("tunnels", "cut"), ("tokens", "revoke"), ("audit", "export")}
    for path in paths():
        is_leaf = path[:1] == (command,) and (len(path) == 2 or command == "whoami")
        if is_leaf and path not in silent:
            assert "-o, --output [text|json]" in run(*path, "--help").out


def test_the_version_is_said_on_stdout() -> None:
    ended = run("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"aditus {__version__}\n", "")


# --- what is loaded ---------------------------------------------------------------------------

SERVER = {"fastapi", "pydantic", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "argon2"}
HEAVY = {*SERVER, "asyncio", "rich", "httpx2", "cryptography", "picows", "uvloop", "jwt", "prometheus_client"}


def loaded_by(*words: str) -> set[str]:
    program = "import sys; from aditus.cli.main import main; main(); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["connect", "--help"], ["keys", "--help"]])
def test_help_loads_next_to_nothing(words: list[str]) -> None:
    loaded = loaded_by(*words)
    assert "aditus.cli.main" in loaded
    assert not loaded & HEAVY
    assert not {
        name for name in loaded if name.startswith(("aditus.wiring", "aditus.control", "aditus.client."))
    }


def test_the_version_loads_no_command() -> None:
    assert not {f"aditus.cli.{module}" for module in COMMANDS.values()} & loaded_by("--version")


def test_an_agent_loads_nothing_of_the_server() -> None:
    """Up to its first refusal: the health address is not this machine's."""
    loaded = loaded_by(
        *("connect", "-s", "a:1", "--access-key", SECRET.reveal(), "--health-listen", "192.0.2.1:1"),
        "wss://127.0.0.1:1/connect/a",
    )
    assert "aditus.wiring.connect" in loaded
    assert not loaded & SERVER
    assert not {
        name for name in loaded if name.startswith(("aditus.control", "aditus.relay", "aditus.store"))
    }


# --- real processes ---------------------------------------------------------------------------


def test_a_reader_that_has_had_enough_is_no_failure() -> None:
    process = subprocess.Popen(
        [*PROGRAM, "keys", "verify"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()  # before it can have written: it waits for its stdin
    process.stdin.write(SECRET.reveal())
    process.stdin.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 0


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["keys", "verify"], ["--version"], ["keys", "--help"]], ids=" ".join)
def test_a_full_disk_is_one_line(words: list[str], unbuffered: str) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [*PROGRAM, *words],
            input=SECRET.reveal(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "aditus: The output cannot be written: No space left on device.\n"


@pytest.mark.parametrize("words", [["keys", "show", "\udcff"], ["serve", "--data", "d\udcff"], ["\udcff"]])
def test_a_word_that_is_no_text_is_2(words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    ended = run(*words)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        f"aditus: Word {len(words)} of the command line is not UTF-8 text."
        " Write it in UTF-8; rename a file whose name is not.\n"
    )
    assert not list(home.iterdir())


def test_a_program_ends_with_the_code_of_its_command() -> None:
    ended = run_process("connect", "-s", "a:1", ADITUS_ACCESS_KEY=SECRET.reveal()[:-1])
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("aditus: The secret access key from ADITUS_ACCESS_KEY cannot be right.")
