"""`aditus doctor` as a person runs it: a line for each check, and the exit code of the worst."""

import json
from pathlib import Path

from tests.process.programs import LOOPBACK, Key, Server, Service, run


def doctor(server: Server, key: Key, *words: str) -> tuple[int, str]:
    ended = run("doctor", "--ca-file", str(server.ca_file), *words, env=key.env)
    assert "Traceback" not in ended.out + ended.err
    assert key.secret.reveal() not in ended.out + ended.err
    return ended.code, ended.out


def test_the_exit_code_is_that_of_the_worst(server: Server, tmp_path: Path) -> None:
    key = server.generate("looked-at")
    with Service() as service:
        good = f"1:{LOOPBACK}:{service.port}"
        code, said = doctor(server, key, key.url, "-s", good)
        assert code == 0
        assert [line.split()[:2] for line in said.splitlines()] == [
            ["✓", check] for check in ("tcp", "tls", "answer", "clock", "key", "target")
        ]
    code, said = doctor(server, key, key.url, "-s", good)  # nobody listens there any more
    assert code == 1
    assert "✗ target" in said
    assert doctor(server, key, key.url[:-1] + "x")[0] == 4
    assert doctor(server, key, "--relay", f"wss://{LOOPBACK}:1")[0] == 6
    server.revoke(key)
    code, said = doctor(server, key, key.url, "-s", good)
    assert code == 3
    assert "was revoked" in said
    none = run("doctor", "--ca-file", str(server.ca_file), "--config-dir", str(tmp_path), key.url)
    assert none.code == 2
    assert "✓ answer" in none.out  # the network is looked at all the same


def test_findings_for_support_are_json(server: Server) -> None:
    key = server.generate("for-support")
    code, said = doctor(server, key, key.url, "-o", "json")
    assert code == 0
    findings = json.loads(said)
    assert {finding["verdict"] for finding in findings} == {"ok"}
    assert set(findings[0]) == {"check", "about", "verdict", "text", "remedy", "code"}
