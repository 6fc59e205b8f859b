"""Plain TCP: connecting to targets and listening for apps, on aiofastnet's transports.

uvloop's own transports abort the process when a peer resets under `write_eof`; these do not, on either
loop, and are faster on bulk.
"""

import asyncio
import socket
import struct
import sys
from collections.abc import Callable

import aiofastnet

HAPPY_EYEBALLS_SECONDS = 0.25
BACKLOG = 4_096

# The value of SO_LINGER (struct linger: on or off, seconds). Zero seconds make a close a TCP reset.
_LINGER = "hh" if sys.platform == "win32" else "ii"
LINGER_ZERO = struct.pack(_LINGER, 1, 0)
LINGER_OFF = struct.pack(_LINGER, 0, 0)


async def connect(host: str, port: int, protocol: asyncio.BaseProtocol) -> None:
    """Connect `protocol` to host:port, trying all its addresses.

    Raises `OSError` (`socket.gaierror` when the name has no address), or an `ExceptionGroup` of them when
    several addresses failed.
    """
    loop = asyncio.get_running_loop()
    await aiofastnet.create_connection(
        loop,
        lambda: protocol,
        host,
        port,
        happy_eyeballs_delay=HAPPY_EYEBALLS_SECONDS,
        all_errors=True,
    )


async def listen(host: str, port: int, protocol: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
    """Listen on host:port, which must be an address of this machine. Raises `OSError` when it is taken."""
    loop = asyncio.get_running_loop()
    sock = listening_socket(host, port)
    try:
        # Linux hands it on to what is accepted: what nobody can serve any more does not end cleanly.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        return await aiofastnet.create_server(loop, protocol, sock=sock, backlog=BACKLOG)
    except BaseException:
        sock.close()
        raise


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is known at once. Port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
