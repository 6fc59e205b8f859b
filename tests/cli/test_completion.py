"""`aditus completion`: the script that a shell reads, and what it is told then."""

import subprocess

import pytest

from tests.cli.run import run, run_process


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_that_asks_this_program(shell: str) -> None:
    ended = run("completion", shell)
    assert (ended.code, ended.err) == (0, "")
    assert f"_ADITUS_COMPLETE={shell}_complete" in ended.out


def test_the_script_is_one_that_bash_reads() -> None:
    script = run("completion", "bash").out
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


@pytest.mark.parametrize(
    ("line", "word", "offers"),
    [
        ("aditus ", "1", {"connect", "keys", "streams"}),
        ("aditus keys r", "2", {"revoke", "rotate", "resume"}),
        ("aditus keys rotate --", "3", {"--grace", "--now"}),
    ],
)
def test_the_program_tells_what_may_come_next(line: str, word: str, offers: set[str]) -> None:
    ended = run_process(_ADITUS_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=word)
    assert ended.code == 0, ended.err
    assert offers <= {row.partition(",")[2] for row in ended.out.splitlines()}


def test_no_other_shell_is_known() -> None:
    assert run("completion", "cmd").code == 2
