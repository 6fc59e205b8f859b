"""Tells the service manager that started this program how it is: systemd's sd_notify, by datagrams.

Without `NOTIFY_SOCKET` nobody asked, and nothing here does anything. What systemd then does with it is in
`deploy/systemd`.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable

_log = logging.getLogger(__name__)

VARIABLE = "NOTIFY_SOCKET"
READY_SECONDS = 5.0
"""How long a busy service manager may take to hear what it must not miss: it stops who never gets ready."""
STATUS_SECONDS = 1.0
"""How often the status is looked at."""
MAX_STATUS = 500  # characters of it that `systemctl status` is given


def ready() -> None:
    """The program is up. To be said once, when signals are heard."""
    if not tell("READY=1", seconds=READY_SECONDS):
        _log.warning("the service manager does not hear that this program is ready; it may stop it")


def stopping() -> None:
    """The program ends, at its own time."""
    tell("STOPPING=1")


async def show(status: Callable[[], str]) -> None:
    """Tell people what `status` says, each time that it says something else; without end."""
    if not os.environ.get(VARIABLE):
        return
    told = ""
    while True:
        now = status()
        if now != told and say(now):
            told = now
        await asyncio.sleep(STATUS_SECONDS)


def say(text: str) -> bool:
    """Tell people this, in one line, until something else is told; whether it got there."""
    return tell(f"STATUS={' '.join(text.split())[:MAX_STATUS]}")


def tell(*lines: str, seconds: float = 0.0) -> bool:
    """Send lines such as `READY=1`, waiting for room at most so long.

    True: they got there, or nobody asked for them.
    """
    address = os.environ.get(VARIABLE, "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return True
    if address.startswith("@"):  # Linux's names that are in no file system
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(seconds)
            sock.sendto("\n".join(lines).encode(), address)
    except OSError as error:
        _log.debug("the service manager does not hear: %s", error)
        return False
    return True
