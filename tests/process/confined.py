"""Starts a program with what a unit of deploy/systemd takes away from it, where systemd itself does not run.

    python confined.py UNIT PROGRAM words …

The unit's system calls, address families, write-or-execute memory, capabilities and limits; not its view of
the file system. Needs root, `systemd-analyze` (it knows the groups of system calls) and libseccomp.
"""

import ctypes
import errno
import functools
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # SCMP_ACT_ALLOW, SCMP_ACT_ERRNO(EPERM)
IS = 4  # SCMP_CMP_EQ
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 1
PR_CAPBSET_DROP, LAST_CAPABILITY = 24, 40


class Comparison(ctypes.Structure):
    """libseccomp's `struct scmp_arg_cmp`."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("one", ctypes.c_uint64),
        ("other", ctypes.c_uint64),
    )


def values(unit: Path, name: str) -> list[str]:
    """What the unit says for this name, in its order."""
    return [line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{name}=")]


@functools.cache
def groups() -> Mapping[str, Sequence[str]]:
    """The groups of system calls, as systemd has them; a group may stand in another one."""
    command = ["systemd-analyze", "syscall-filter", "--no-pager"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, list[str]] = {}
    for line in told.splitlines():
        word = line.strip()
        if line.startswith("@"):
            found[word] = []
        elif word and not word.startswith("#") and found and line.startswith(" "):
            found[[*found][-1]].append(word)
    return found


def system_calls(group: str) -> Iterator[str]:
    """The calls of a group such as `@system-service`."""
    for word in groups()[group]:
        if word.startswith("@"):
            yield from system_calls(word)
        else:
            yield word


def allowed(unit: Path) -> set[str]:
    """All calls that its lines of `SystemCallFilter` leave."""
    left = set(system_calls("@default"))
    for line in values(unit, "SystemCallFilter"):
        for group in line.removeprefix("~").split():
            calls = set(system_calls(group))
            left = left - calls if line.startswith("~") else left | calls
    return left


def confine(unit: Path) -> None:
    """Take it away from this process, for good."""
    calls = allowed(unit)
    libc, seccomp = ctypes.CDLL(None, use_errno=True), ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(REFUSE))
    for call in sorted(calls - {"socket"}):
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:  # else another machine's
            check(seccomp.seccomp_rule_add_array(context, ALLOW, number, 0, None) == 0, call)
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in values(unit, "RestrictAddressFamilies")[0].split():
        only = Comparison(0, IS, getattr(socket, family), 0)
        check(seccomp.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(only)) == 0, family)
    files = int(values(unit, "LimitNOFILE")[0])
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges")
    if libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:  # Linux 6.3
        check(ctypes.get_errno() == errno.EINVAL, "memory is writable or executable, not both")
    check(seccomp.seccomp_load(context) == 0, "the filter")


def check(holds: bool, what: str) -> None:
    """End here if it does not."""
    if not holds:
        sys.exit(f"cannot be confined: {what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
