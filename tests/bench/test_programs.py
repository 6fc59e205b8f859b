"""Programs end with their place, with all that they started; a failure says how it looked."""

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.programs import Broken, Place, free_ports, tool, wait_for

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


def is_alive(pid: int) -> bool:
    """Whether this process runs; a zombie, whose parent has gone, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_what_a_program_started_ends_with_it_even_in_a_session_of_its_own(tmp_path: Path) -> None:
    with ExitStack() as stack:
        parent = Place(tmp_path, stack).start("parent", [sys.executable, "-c", PARENT])
        wait_for(lambda: parent.said().endswith("\n"), lambda: "no child", parent)
        child = int(parent.said())
        assert is_alive(child)
    wait_for(lambda: not is_alive(child), lambda: "the child lives on")
    assert not is_alive(parent.pid)


def test_a_program_that_ends_too_early_is_told_with_the_tail_of_its_log(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place = Place(tmp_path, stack)
        program = place.start("peer", [sys.executable, "-c", "print('one\\ntwo'); exit(3)"])
        with pytest.raises(Broken, match="peer ended with exit code 3: one / two"):
            program.wait_listening(*free_ports(1))


def test_a_failing_tool_is_told_with_what_it_said() -> None:
    with pytest.raises(Broken, match=r"exit code 1: .*no such thing"):
        tool([sys.executable, "-c", "exit('no such thing')"], 1.0)


def test_files_of_a_place_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = Place(tmp_path, ExitStack()).write("secret", "x")
    assert path.stat().st_mode & 0o077 == 0
