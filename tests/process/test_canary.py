"""A secret access key is looked for in all that a real agent says and leaves behind.

At `--debug --payload`, with keys that work, are refused and revoked, and when the agent crashes.
"""

import base64
import contextlib
import signal
import socket
import sys
from pathlib import Path

import pytest

from aditus.domain.keytext import format_access_key, parse_access_key
from tests.ends import free_port, on_linux
from tests.process.programs import LOOPBACK, Key, Program, Server, Service, get, run, until

CRASH = """
import sys
import {module}
def crash(*words, **more): raise RuntimeError("the canary")
{module}.{what} = crash
from aditus.cli.main import main
sys.exit(main())
"""
"""The agent's program, with one of its functions broken."""
ABORTED = """
import os, resource, sys
if not (pid := os.fork()):
    os.chdir(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.execv(sys.argv[2], sys.argv[2:])
_, status = os.waitpid(pid, 0)
print(os.WTERMSIG(status), os.WCOREDUMP(status))
"""
"""Runs a program where core dumps are allowed; prints the signal that ended it, and whether there is one."""


def forms(key: Key) -> list[str]:
    """How a secret might look that got out: the text, its secret digits, its bytes as people print them."""
    text = key.secret.reveal()
    raw = parse_access_key(text).secret
    encoded = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
    return [
        *(text, text.split("_")[3], raw.hex(), repr(raw)[2:-1], str(list(raw))[1:-1]),
        *(form.decode().rstrip("=") for form in encoded),
    ]


def assert_unseen(key: Key, *places: str) -> None:
    for place in places:
        for form in forms(key):
            assert form not in place


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


def command_lines(pid: int) -> str:
    return "\n".join(Path(f"/proc/{one}/cmdline").read_text() for one in family(pid))


@pytest.fixture
def loud(tmp_path: Path) -> tuple[Path, tuple[str, ...]]:
    """A log file, and options that make an agent say all that it can."""
    log = tmp_path / "agent.log"
    return log, ("--debug", "--payload", "--log-format", "json", "--log-file", str(log))


def test_the_search_finds_what_is_there(server: Server) -> None:
    key = server.generate("found")
    for form in forms(key):
        with pytest.raises(AssertionError):
            assert_unseen(key, f"somewhere {form} in a line")


@on_linux
def test_an_agent_that_works_and_then_is_revoked(server: Server, loud: tuple[Path, tuple[str, ...]]) -> None:
    key, (log, options), port = server.generate("canary"), loud, free_port()
    health = f"http://{LOOPBACK}:{port}"
    with Service() as service:
        words = (*options, "--health-listen", f"{LOOPBACK}:{port}")
        with server.agent(key, service.spec, words=words) as agent:
            agent.err.wait('"attached"')
            app, there = service.conversation()
            app.sendall(b"a word that passes")
            assert there.recv(18) == b"a word that passes"
            until(lambda: "a word that passes" in agent.err.text, "the payload is in the log")
            pages = [get(f"{health}/{page}")[1] for page in ("healthz", "readyz", "metrics", "else")]
            assert_unseen(key, *pages, command_lines(agent.pid))
            looked = [run("doctor", *trusting(server), "-o", "json", key.url, env=key.env)]
            server.revoke(key)
            assert agent.end() == 3
    looked.append(run("doctor", *trusting(server), "-o", "json", key.url, env=key.env))
    assert [one.code for one in looked] == [0, 3]
    assert "a word that passes" in log.read_text()
    assert_unseen(
        key, agent.out.text, agent.err.text, log.read_text(), *(one.out + one.err for one in looked)
    )


def test_keys_that_are_refused(server: Server, loud: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    key, (log, options) = server.generate("canary-refused"), loud
    parsed = parse_access_key(key.secret.reveal())
    wrong = Key(
        key.access_key_id, key.url, format_access_key(parsed.region, parsed.key_id, parsed.secret[::-1])
    )
    with server.agent(wrong, "1:127.0.0.1:1", words=options) as agent:
        assert agent.end() == 3
    assert_unseen(wrong, agent.err.text, log.read_text())
    typo = key.secret.reveal()[:-1] + ("0" if key.secret.reveal()[-1] != "0" else "1")
    for words in (("--access-key", typo), ("--access-key-file", "-"), ("--profile", typo)):
        ended = run(
            "connect", "-s", "1:127.0.0.1:1", *words, key.url, env={"HOME": str(tmp_path)}, stdin=typo
        )
        assert ended.code == 2
        assert typo.split("_")[3] not in ended.out + ended.err


@pytest.mark.parametrize(
    ("module", "what"),
    [
        ("aditus.net.tcp", "connect"),  # a task of a stream
        ("aditus.crypto.proof", "KeySigner.bearer"),  # beside the key itself
        ("aditus.crypto.proof", "KeySigner.__init__"),  # with the key in its arguments
        ("aditus.agent.attachment", "Attachment.event"),  # in a callback of the WebSocket
    ],
)
def test_an_agent_that_crashes(
    server: Server, loud: tuple[Path, tuple[str, ...]], module: str, what: str
) -> None:
    key, (log, options) = server.generate(f"crash-{what}".replace("__", "")), loud
    with Service() as service:
        words = server.agent_command(key, service.spec, words=options)
        program = [
            sys.executable,
            "-c",
            CRASH.format(module=module, what=what),
            *words[words.index("connect") :],
        ]
        with Program(program, key.env | {"ADITUS_DEBUG": "1"}) as agent:
            if what == "connect":
                agent.err.wait('"attached"')
                with (
                    contextlib.suppress(ConnectionError),
                    socket.create_connection((LOOPBACK, service.app_port)) as app,
                ):
                    app.recv(1)
            agent.err.wait("the canary")
    assert_unseen(key, agent.out.text, agent.err.text, log.read_text())


@on_linux
def test_nobody_else_reads_the_memory_of_a_program(tmp_path: Path) -> None:
    """Nor does it leave a core dump, though the limit that it was started with allows one."""
    body = (
        "import ctypes, os, sys\n"
        "from aditus.wiring import process\n"
        "async def main():\n"
        "    if sys.argv[1] == 'tell': print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
        "    else: os.abort()\n"
        "    return 0\n"
        "process.run(main())\n"
    )
    with Program([sys.executable, "-c", body, "tell"]) as told:
        assert told.ended().out == "0\n"  # PR_GET_DUMPABLE
    with Program(
        [sys.executable, "-c", ABORTED, str(tmp_path), sys.executable, "-c", body, "abort"]
    ) as aborted:
        assert aborted.ended().out == f"{signal.SIGABRT:d} False\n"
    assert not list(tmp_path.iterdir())


def trusting(server: Server) -> tuple[str, str]:
    return "--ca-file", str(server.ca_file)
