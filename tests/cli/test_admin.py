"""The commands of administrators, asked of a real `aditus serve`, with a real agent attached."""

import io
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aditus.cli.main import main
from aditus.client.rest import Client
from aditus.domain.keytext import mask, parse_access_key
from tests.cli.run import PROGRAM, SECRET, Terminal, run, run_process


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its folder, its API and the owner's token."""

    data: Path
    api: str
    token: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("server") / "data"
    listen = ("--api-listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0", "--metrics-listen", "off")
    with subprocess.Popen(
        [*PROGRAM, "serve", "--data", str(data), *listen, "--app-listen", "off"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        try:
            api = next(line.split()[-1] for line in process.stderr if line.strip().startswith("API"))
            next(line for line in process.stderr if "serving" in line)
            yield Server(data, api, (data / "owner.token").read_text().strip())
        finally:
            process.terminate()
        assert process.wait() == 0


@pytest.fixture
def admin(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The owner, who has set the two variables for scripts."""
    monkeypatch.setenv("ADITUS_API", server.api)
    monkeypatch.setenv("ADITUS_TOKEN", server.token)
    return server


def generated(access_key_id: str, *words: str) -> str:
    """A new key's secret."""
    ended = run("keys", "generate", access_key_id, "--capability", "integration", *words)
    assert ended.code == 0, ended.err
    return ended.out.strip()


def data(*words: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    ended = run(*words, "-o", "json")
    assert ended.code == code, ended.err
    return json.loads(ended.out)


Answer = Callable[[str], None]


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """A person at the terminal, who answers so."""
    return lambda answer: monkeypatch.setattr(sys, "stdin", Terminal(answer))


# --- keys -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("admin")
def test_a_secret_is_alone_on_stdout_and_what_to_do_with_it_on_stderr() -> None:
    ended = run("keys", "generate", "alone", "--capability", "integration", "--description", "of sales")
    secret = ended.out.removesuffix("\n")
    key = parse_access_key(secret)
    assert secret not in ended.err
    assert f"Access key alone ({key.key_id}) for integration in local." in ended.err
    assert "aditus configure --access-key-file -" in ended.err
    shown = data("keys", "show", "alone")
    assert (shown["key_id"], shown["state"], shown["description"]) == (key.key_id, "active", "of sales")
    assert f"-s 5432:127.0.0.1:5432 {shown['connect_url']}" in ended.err
    for words in (["keys", "show", "alone"], ["keys", "list"], ["audit", "list"]):
        for form in ("text", "json"):
            said = run(*words, "-o", form).said
            assert key.key_id in said
            assert secret.split("_")[3] not in said


@pytest.mark.usefixtures("admin")
def test_json_has_the_secret_too_and_nothing_is_on_stderr() -> None:
    ended = run("keys", "generate", "as-json", "--capability", "integration", "-o", "json")
    new = json.loads(ended.out)
    assert parse_access_key(new["secret_access_key"]).key_id == new["key_id"]
    assert new["connect_url"].startswith(f"{new['relay_url']}/connect/")
    assert new["created_at"].endswith("Z")
    assert ended.err == ""


@pytest.mark.usefixtures("admin")
def test_a_key_can_have_an_end() -> None:
    generated("ends", "--expires", "90d")
    (key,) = [one for one in data("keys", "list", "--state", "active") if one["access_key_id"] == "ends"]
    days = (datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)) / timedelta(days=1)
    assert 89.9 < days < 90.1


@pytest.mark.usefixtures("admin")
def test_refusals_are_one_line_and_the_right_code() -> None:
    generated("twice")
    for words, code, says in (
        (("generate", "twice", "--capability", "integration"), 5, "revoke that key"),
        (("generate", "-x", "--capability", "integration"), 2, "No such option"),
        (("generate", "a/b", "--capability", "integration"), 2, "part of a path"),
        (("generate", "other", "--capability", "nope"), 3, "capability"),
        (("generate", "other", "--capability", "integration", "--region", "nope"), 4, "region"),
        (("show", "nope"), 4, "aditus keys list"),
        (("resume", "nope"), 4, "aditus keys list"),
    ):
        ended = run("keys", *words)
        assert (ended.code, ended.out) == (code, ""), words
        assert ended.err.startswith("aditus: ")
        assert ended.err.count("\n") == 1
        assert says in ended.err


@pytest.mark.usefixtures("admin")
def test_a_key_rests_and_comes_back() -> None:
    generated("rests")
    assert "rests is suspended; 0 tunnels" in run("keys", "suspend", "rests").out
    assert "suspended" in run("keys", "list", "--state", "suspended").out
    assert run("keys", "resume", "rests").out.startswith("rests is active")
    again = data("keys", "suspend", "rests")
    assert (again["key"]["state"], again["cut"]["tunnels"]) == ("suspended", 0)


@pytest.mark.usefixtures("admin")
def test_a_revoke_shows_what_it_cuts_and_asks_first(types: Answer) -> None:
    generated("asked")
    run("apps", "create", "asking", "--capability", "integration")
    run("apps", "associate", "asking", "asked")

    types("n\n")
    ended = run("keys", "revoke", "asked")
    assert (ended.code, ended.out) == (1, "")
    assert "cuts 0 tunnels of 0 agents and 0 live streams; used by asking." in ended.err
    assert "Nothing is changed." in ended.err
    assert data("keys", "show", "asked")["state"] == "active"

    types("y\n")
    ended = run("keys", "revoke", "asked", "-o", "json")
    receipt = json.loads(ended.out)
    assert (ended.code, receipt["dry_run"]) == (0, False)
    assert [(one["result"], one["apps"]) for one in receipt["results"]] == [("revoked", ["asking"])]
    shown = data("keys", "show", "asked")
    assert (shown["state"], shown["connect_url"]) == ("revoked", "")
    app = data("apps", "show", "asking")
    assert app["app"]["key_state"] == "revoked"


@pytest.mark.usefixtures("admin")
def test_a_revoke_needs_a_person_or_yes() -> None:
    generated("unasked")
    ended = run_process("keys", "revoke", "unasked")
    assert ended.code == 2
    assert "--yes" in ended.err
    dry = run("keys", "revoke", "unasked", "--dry-run")
    assert (dry.code, dry.out.splitlines()[-1].split()[2]) == (0, "revoked")
    assert data("keys", "show", "unasked")["state"] == "active"
    assert run("keys", "revoke", "unasked", "--yes").code == 0
    again = run("keys", "revoke", "unasked", "--yes")
    assert again.code == 0
    assert "already-revoked" in again.out


@pytest.mark.usefixtures("admin")
def test_one_unknown_key_among_many_is_4_and_the_others_are_revoked() -> None:
    generated("known")
    results = data("keys", "revoke", "known", "unknown", "--yes", code=4)["results"]
    assert [(one["access_key_id"], one["result"]) for one in results] == [
        ("known", "revoked"),
        ("unknown", "not-found"),
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.usefixtures("admin")
def test_a_secret_that_could_not_be_printed_is_said_to_be_lost() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "keys", "generate", "lost", "--capability", "integration"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "its secret is lost: revoke it, generate another" in done.stderr
    assert data("keys", "show", "lost")["state"] == "active"


def test_a_secret_is_checked_offline(home: Path) -> None:
    file = home / "key"
    file.write_text(SECRET.reveal())
    file.chmod(0o600)
    assert run("keys", "verify", str(file)).out == "The form is right: key AbCdEf012345 of the region eu-1.\n"
    assert data("keys", "verify", str(file)) == {"valid": True, "key_id": "AbCdEf012345", "region": "eu-1"}
    ended = run_process("keys", "verify", "-", stdin=SECRET.reveal()[:-1])
    assert (ended.code, ended.out) == (2, "")
    assert mask(SECRET.reveal()) not in ended.err
    file.write_text(SECRET.reveal().replace("_AbC", "_AbD"))
    assert "checksum does not match" in run("keys", "verify", str(file)).err


# --- apps, tokens, and who asks ---------------------------------------------------------------


@pytest.mark.usefixtures("admin")
def test_an_app_gets_a_key_and_loses_it(types: Answer) -> None:
    generated("first")
    generated("second")
    assert "integration" in run("apps", "create", "shop", "--capability", "integration").out
    assert run("apps", "create", "shop", "--capability", "integration").code == 5
    for key in ("first", "second"):
        assert data("apps", "associate", "shop", key)["access_key_id"] == key
    assert "second" in run("apps", "list").out
    status = data("apps", "show", "shop")
    assert (status["app"]["key_state"], status["tunnels"], status["ports"]) == ("active", 0, [])
    assert "access key id" not in run("apps", "dissociate", "shop").out
    assert run("apps", "associate", "shop", "nope").code == 4

    types("n\n")
    assert run("apps", "delete", "shop").code == 1
    assert run("apps", "show", "shop").code == 0
    assert run("apps", "delete", "shop", "--yes").err == "The app shop is deleted.\n"
    assert run("apps", "show", "shop").code == 4


def test_a_token_of_less_rights_has_them(admin: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = run("tokens", "create", "ci", "--role", "member", "--expires", "1h")
    token = ended.out.strip()
    assert token not in ended.err
    (record,) = [one for one in data("tokens", "list") if one["name"] == "ci"]
    assert (record["role"], record["token_id"] in ended.err) == ("member", True)

    monkeypatch.setenv("ADITUS_TOKEN", token)
    assert data("whoami")["organizations"][0]["role"] == "member"
    assert run("keys", "list").code == 0
    refused = run("keys", "generate", "not-mine", "--capability", "integration")
    assert (refused.code, refused.out) == (3, "")

    monkeypatch.setenv("ADITUS_TOKEN", admin.token)
    assert run("tokens", "revoke", record["token_id"]).code == 0
    monkeypatch.setenv("ADITUS_TOKEN", token)
    assert run("keys", "list").code == 3


@pytest.mark.usefixtures("admin")
def test_a_new_token_is_in_its_json() -> None:
    new = data("tokens", "create", "as-json")
    assert new["token"].startswith(f"adtp_{new['token_id']}_")


def test_a_login_is_tried_and_remembered(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("whoami").code == 2
    wrong = SECRET.reveal().replace("adt_eu-1", "adtp")
    monkeypatch.setenv("ADITUS_TOKEN", wrong)
    assert run("login", server.api).code == 2
    monkeypatch.delenv("ADITUS_TOKEN")
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert "--token-file" in run("login", server.api).err
    ended = run("login", server.api, "--token-file", str(server.data / "owner.token"))
    assert (ended.code, ended.out) == (0, "")
    assert "You are owner@localhost, owner of default." in ended.err
    assert server.token not in ended.said
    shown = run("whoami")
    assert shown.code == 0
    assert "owner@localhost" in shown.out
    assert run("whoami", "--api", "http://127.0.0.1:1").code == 2  # not with that API's token


def test_a_refused_token_is_not_remembered(
    server: Server, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server.api, server.token) as client:
        new = client.create_token("gone")
        client.revoke_token(new.token.token_id)
    monkeypatch.setenv("ADITUS_TOKEN", new.secret.reveal())
    assert run("login", server.api).code == 3
    assert not (home / ".aditus").exists()


def test_an_api_that_is_not_there_is_6(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADITUS_TOKEN", server.token)
    ended = run("keys", "list", "--api", "http://127.0.0.1:1")
    assert ended.code == 6
    assert "http://127.0.0.1:1 cannot be reached" in ended.err


@pytest.mark.usefixtures("admin")
def test_the_audit_log_is_read_newest_first() -> None:
    generated("noted")
    events = data("audit", "list", "--limit", "2")
    assert len(events) == 2
    assert (events[0]["action"], events[0]["object_name"]) == ("key.generate", "noted")
    assert "noted" in run("audit", "list").out


# --- tunnels ----------------------------------------------------------------------------------


def test_a_tunnel_is_seen_cut_and_ended_with_its_key(admin: Server, home: Path) -> None:
    (home / "key").write_text(generated("attached"))
    url = data("keys", "show", "attached")["connect_url"]
    connect = ("connect", "--access-key-file", str(home / "key"), "--ca-file", str(admin.data / "ca.pem"))
    with subprocess.Popen(
        [*PROGRAM, *connect, "-s", "5432:127.0.0.1:1", "--health-listen", "off", url],
        stderr=subprocess.PIPE,
        text=True,
    ) as agent:
        assert agent.stderr
        attached = (line for line in agent.stderr if "attached" in line)
        next(attached)
        (tunnel,) = data("tunnels", "list")
        assert (tunnel["access_key_id"], [port["port"] for port in tunnel["ports"]]) == ("attached", [5432])
        shown = run("tunnels", "list").out.splitlines()[-1].split()
        assert (shown[0], shown[1]) == (tunnel["tunnel_id"], "attached")

        assert run("tunnels", "cut", tunnel["tunnel_id"]).code == 0
        next(attached)  # it came back
        (again,) = data("tunnels", "list")
        assert again["tunnel_id"] != tunnel["tunnel_id"]
        assert run("tunnels", "cut", tunnel["tunnel_id"]).code == 4

        receipt = run("keys", "revoke", "attached", "--yes").out.splitlines()[-1].split()
        assert receipt[2:5] == ["revoked", "1", "0"]
        last = agent.stderr.read().splitlines()[-1]
        assert last.startswith("aditus: ")
        assert agent.wait() == 3


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize("form", ["text", "json"])
def test_tunnels_can_be_watched_until_an_interrupt(form: str) -> None:
    watch = ("tunnels", "watch", "--interval", "0.1", "-o", form)
    with subprocess.Popen(
        [*PROGRAM, *watch], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        heads = (line for line in process.stdout if line.startswith(("TUNNEL ", "[")))
        first, second = next(heads), next(heads)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert first == second
    assert (process.returncode, said.strip()) == (130, "")


@pytest.mark.usefixtures("admin")
def test_on_a_terminal_the_watched_table_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def look(client: Client) -> tuple[()]:
        looks.append(client)
        if len(looks) == 3:
            raise KeyboardInterrupt
        return ()

    monkeypatch.setattr(Client, "tunnels", look)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["tunnels", "watch", "--interval", "0.1"]) == 130
    assert terminal.getvalue().count("TUNNEL") >= 2
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back


# --- the audit as evidence, and the backup -----------------------------------------------------


@pytest.mark.usefixtures("admin")
def test_the_chain_is_verified_against_a_head_that_was_kept(tmp_path: Path) -> None:
    generated("before the head")
    first = run("audit", "verify")
    assert first.code == 0
    assert "entries hold" in first.err
    kept = tmp_path / "head"
    kept.write_text(first.out)
    generated("after the head")
    later = run("audit", "verify", "--head-file", str(kept))
    assert later.code == 0
    assert later.out != first.out
    sequence, _, digest = first.out.strip().partition(":")
    rewritten = run("audit", "verify", "--head", f"{sequence}:{digest[::-1]}")
    assert rewritten.code == 1
    assert f"broken at entry {sequence}" in rewritten.err
    cut_off = data("audit", "verify", "--head", f"99999:{digest}", code=1)
    assert cut_off["fault"]["fault"] == "cut-off"
    for head in ("7", f"{sequence}:xyz"):
        assert run("audit", "verify", "--head", head).code == 2


@pytest.mark.usefixtures("admin")
def test_an_export_is_verified_without_a_server_and_tells_who_touched_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated("exported")
    exported = run("audit", "export")
    assert exported.code == 0
    lines = exported.out.splitlines()
    assert any(json.loads(line)["object_name"] == "exported" for line in lines)
    file = tmp_path / "audit.jsonl"
    monkeypatch.setenv("ADITUS_API", "http://127.0.0.1:9")  # nobody is asked
    file.write_text(exported.out)
    assert run("audit", "verify", str(file)).code == 0
    file.write_text(exported.out.replace('"exported"', '"something else"'))
    assert run("audit", "verify", str(file)).code == 1
    del lines[1]
    file.write_text("\n".join(lines))
    missing = run("audit", "verify", str(file))
    assert missing.code == 1
    assert "broken at entry 2" in missing.err
    assert run("audit", "verify", str(tmp_path / "none")).code == 2
    for text in ("", "root:x:0:0\n"):
        file.write_text(text)
        none = run("audit", "verify", str(file))
        assert (none.code, none.out) == (2, "")
        assert "nothing to verify" in none.err


@pytest.mark.usefixtures("admin")
def test_strangers_at_the_door_are_counted_by_source() -> None:
    assert run("audit", "strangers").code == 0
    assert isinstance(data("audit", "strangers"), list)


def test_a_backup_is_made_beside_the_running_server_and_is_whole(admin: Server, tmp_path: Path) -> None:
    generated("in the backup")
    file = tmp_path / "backup.db"
    made = run("admin", "backup", str(file), "--data", str(admin.data))
    assert made.code == 0, made.err
    assert file.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(file) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        names = {name for (name,) in copy.execute("SELECT access_key_id FROM access_keys")}
    copy.close()
    assert "in the backup" in names
    again = run("admin", "backup", str(file), "--data", str(admin.data))
    assert again.code == 5
    assert "never overwritten" in again.err


def test_a_postgresql_is_backed_up_by_its_own_means(tmp_path: Path) -> None:
    refused = run_process(
        "admin",
        "backup",
        str(tmp_path / "b"),
        "--data",
        str(tmp_path),
        ADITUS_DATABASE_URL="postgresql://nobody@localhost/x",
    )
    assert refused.code == 2
    assert "pg_dump" in refused.err
    nothing = run("admin", "backup", str(tmp_path / "b"), "--data", str(tmp_path))
    assert nothing.code == 2
    assert not (tmp_path / "b").exists()
