"""Starts `aditus` as on a system that has next to nothing of POSIX, such as Windows.

    python elsewhere.py selector connect …
    python elsewhere.py proactor connect …

`selector`: aiofastnet's own transports on asyncio's plain loop. `proactor`: the loop of Windows, as far as
others can tell: it hands out no readers, so that aiofastnet wraps the loop's transports.
"""

import asyncio
import ctypes
import os
import select
import selectors
import signal
import socket
import sys
from typing import Any

# What comes from others looks for the system by itself, and finds the real one.
import aiofastnet
import cryptography.hazmat.primitives.asymmetric.ed25519
import picows

__all__ = ["aiofastnet", "cryptography", "picows"]

ABSENT_MODULES = ("uvloop", "resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog")
WINDOWS_SIGNALS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
ABSENT = {
    os: ("fchmod", "fchown", "chown", "fork", "getuid", "geteuid", "getgid", "getegid", "getpgid", "uname",
         "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "posix_fadvise", "sendfile"),
    socket: ("AF_UNIX", "TCP_INFO", "TCP_NOTSENT_LOWAT", "SO_REUSEPORT", "MSG_NOSIGNAL", "send_fds"),
    select: ("epoll", "poll", "EPOLLET", "EPOLLERR"),
}  # fmt: skip


class Loop(asyncio.SelectorEventLoop):
    """What Windows has: no signals, and nothing better than select()."""

    def __init__(self) -> None:
        super().__init__(selectors.SelectSelector())

    def add_signal_handler(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError

    def remove_signal_handler(self, *_: Any) -> bool:
        raise NotImplementedError


class Proactor(Loop):
    """What others see of the proactor loop."""

    def add_reader(self, *_: Any) -> None:  # type: ignore[override]
        raise NotImplementedError

    add_writer = add_reader  # type: ignore[assignment]


def take_away() -> None:
    """All of it, before anything of ours is imported."""
    pair = socket.socketpair  # of the system; on Windows it is made of TCP
    family = socket.AF_UNIX
    socket.socketpair = lambda *_: pair(family)
    for name in ABSENT_MODULES:
        sys.modules[name] = None  # type: ignore[assignment]  # its import fails
    for module, names in ABSENT.items():
        for name in names:
            delattr(module, name)
    for name in [name for name in vars(signal) if name.startswith("SIG") and name[3:4].isalpha()]:
        if name not in WINDOWS_SIGNALS:
            delattr(signal, name)
    ctypes.CDLL = None  # type: ignore[assignment,misc]  # so nobody finds mallopt
    sys.platform = "elsewhere"


def main() -> int:
    """Run `aditus` with what is left."""
    kind, *words = sys.argv[1:]
    loop = {"selector": Loop, "proactor": Proactor}[kind]
    if loop is Proactor:
        asyncio.ProactorEventLoop = Proactor  # type: ignore[attr-defined]
    asyncio.events.new_event_loop = loop  # what asyncio.Runner begins with
    take_away()
    from aditus.cli.main import main

    return main(words)


if __name__ == "__main__":
    sys.exit(main())
