"""Plain TCP: connecting to targets and listening for apps, on aiofastnet's transports.

uvloop's own transports abort the process when a peer resets under `write_eof`; these do not, on either
loop, and are faster on bulk.
"""

import asyncio
import collections
import contextlib
import errno
import functools
import itertools
import logging
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import aiofastnet

from aditus.domain.errors import AditusError, invalid
from aditus.net.door import Door

_log = logging.getLogger(__name__)

NEXT_ADDRESS_SECONDS = 0.25
"""How long an address of a name is waited for before the next one is tried beside it (RFC 8305)."""
BACKLOG = 4_096
"""Connections that wait in the kernel until they are accepted."""
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted in one turn of the loop: so few still come through after a `hold`."""
TOLD_EVERY_SECONDS = 10.0
"""How often the log says that descriptors are used up."""

accepted_from: ContextVar[str] = ContextVar("accepted_from", default="")
"""In the callbacks of a connection that a `ListeningSocket` accepted: the address that it came from.

The loop starts a task for each connection right after `accept`, and callbacks keep that context. Who
decides an upgrade has no other way to the socket: picows shows the request alone.
"""

# The value of SO_LINGER (struct linger: on or off, seconds). Zero seconds make a close a TCP reset.
_LINGER = "hh" if sys.platform == "win32" else "ii"
LINGER_ZERO = struct.pack(_LINGER, 1, 0)
LINGER_OFF = struct.pack(_LINGER, 0, 0)


class Forbidden(OSError):
    """A name leads to nothing but addresses that it may not lead to."""


async def connect(
    host: str,
    port: int,
    protocol: asyncio.BaseProtocol,
    forbidden: Callable[[str], bool] = lambda address: False,
) -> None:
    """Connect `protocol` to host:port, as `dial` does. Cancelled at any moment, it leaves nothing open.

    Until the protocol changes that, the connection ends with a TCP reset, however it ends.
    """
    sock = await dial(host, port, forbidden)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    await aiofastnet.create_connection(asyncio.get_running_loop(), lambda: protocol, sock=sock)


async def dial(
    host: str, port: int, forbidden: Callable[[str], bool] = lambda address: False
) -> socket.socket:
    """A socket that is connected to host:port, at the address of the name that answers first.

    IPv6 and IPv4 take turns, each with a start of `NEXT_ADDRESS_SECONDS`; `forbidden` ones are passed over.
    Raises the `OSError` of the address that failed last: `socket.gaierror` when the name has none,
    `Forbidden` when it has no other one. Cancelled at any moment, it leaves nothing open.
    """
    addresses = _literal(host, port)
    if not addresses:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [one for one in found if not forbidden(str(one[4][0]))]
        if not addresses:
            raise Forbidden("the name leads to an address that it may not lead to")
    if len(addresses) == 1:
        return await _connected(addresses[0])
    return await _first_connected(_in_turns(addresses))


def _in_turns(addresses: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The families in turns, beginning with that of the first address."""
    first = [one for one in addresses if one[0] == addresses[0][0]]
    others = [one for one in addresses if one[0] != addresses[0][0]]
    turns = itertools.zip_longest(first, others)
    return [one for turn in turns for one in turn if one is not None]


async def _first_connected(addresses: list[tuple[Any, ...]]) -> socket.socket:
    # Not by `create_connection`: its race between addresses forgets a socket when it is cancelled.
    waiting = collections.deque(addresses)
    dials: set[asyncio.Task[socket.socket]] = set()
    failed = OSError("there is no address")
    try:
        while waiting or dials:
            if waiting:
                dials.add(asyncio.create_task(_connected(waiting.popleft())))
            head_start = NEXT_ADDRESS_SECONDS if waiting else None
            ended, _ = await asyncio.wait(dials, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
            for dial in ended:
                dials.discard(dial)
                try:
                    return dial.result()
                except OSError as error:
                    failed = error
        raise failed
    finally:
        for dial in dials:
            dial.cancel()
        for late in await asyncio.gather(*dials, return_exceptions=True):
            if isinstance(late, socket.socket):
                late.close()


async def _connected(address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(address[0], socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address[4])
    except BaseException:
        # Where it had come so far, the other side is to see no clean end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        sock.close()
        raise
    return sock


@functools.cache  # of hosts and ports that specs name: there are few
def _literal(host: str, port: int) -> list[tuple[Any, ...]]:
    """What `getaddrinfo` would answer for an address, without its thread; nothing for a name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []


async def listen(host: str, port: int, protocol: Callable[[], asyncio.BaseProtocol]) -> "Listener":
    """Listen on host:port, which must be an address of this machine. Raises `OSError` when it is taken."""
    sock = listening_socket(host, port)
    try:
        # Linux hands it on to what is accepted: what nobody can serve any more does not end cleanly.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    listener = Listener(sock, protocol)
    await asyncio.sleep(0)  # an offer may ask for a thousand of them
    return listener


def cannot_listen(option: str, address: str, error: OSError) -> AditusError:
    """The error for an address that an option asks for, and that cannot be listened on."""
    return invalid(
        "cannot-listen",
        f"{option} {address} cannot be listened on: {why_not(error)}.",
        remedy="Stop what uses it, or choose another address.",
        field=option.removeprefix("--").replace("-", "_"),
    )


def why_not(error: OSError) -> str:
    """Why it failed, in the system's words: asyncio's own name the address once more."""
    if error.errno is not None and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno).lower()
    return (error.strerror or "it failed").lower()


class Listener:
    """Accepts connections, each for a new protocol, until it is closed; while it is held they wait."""

    def __init__(self, sock: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._sock = sock
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[None]] = set()
        self._closed = False
        self.held = True
        self.go_on()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._sock.getsockname()[1]
        return port

    def hold(self) -> None:
        """Accept nobody for now: who connects waits in the kernel's queue."""
        if not self.held:
            self.held = True
            self._loop.remove_reader(self._sock.fileno())

    def go_on(self) -> None:
        """Accept again, those first that waited."""
        if self.held:
            self.held = False
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Stop listening; who waits is reset."""
        self.hold()
        self._closed = True
        self._sock.close()

    async def finish(self) -> None:
        """Stop listening as soon as those who wait are let in, and return when they are."""
        self.hold()
        while self._accept():
            pass
        self._sock.close()
        await asyncio.gather(*self._arriving)

    def _accept(self) -> bool:
        """Accept some of those who wait; whether there may be more."""
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            task = self._loop.create_task(self._take(sock))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)
        return True

    async def _take(self, sock: socket.socket) -> None:
        if self._closed:  # meanwhile
            sock.close()
            return
        try:
            await aiofastnet.connect_accepted_socket(self._loop, self._protocol, sock)
        except OSError as error:
            sock.close()
            _log.debug("a connection ended while it was accepted: %s", error)


def listening_socket(host: str, port: int) -> "ListeningSocket":
    """A bound socket, so that a taken port is known at once. Port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = ListeningSocket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_REUSEADDR"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


class ListeningSocket(socket.socket):
    """A listening socket that resets who knocks when its door is full, or the process has no descriptor left.

    Without descriptors they would wait and be seen in every turn of the loop, each time with a line in the
    log (aiofastnet 1.2 fails in its attempt to pause). One descriptor is kept in reserve, to take them and
    put them down.
    """

    def __init__(self, family: int, kind: int) -> None:
        super().__init__(family, kind)
        self._reserve = os.open(os.devnull, os.O_RDONLY)
        self._told_at = -TOLD_EVERY_SECONDS
        self.door: Door | None = None
        """Who may come in; None: everybody."""

    def accept(self) -> tuple[socket.socket, Any]:
        try:
            sock, address = super().accept()
            accepted_from.set(address[0])
            return (sock, address) if self.door is None else (self._greet(sock, address, self.door), address)
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._put_down(error)
        raise BlockingIOError  # nobody to serve

    def _greet(self, sock: socket.socket, address: tuple[Any, ...], door: Door) -> socket.socket:
        if door.enter(sock.fileno(), address[0]):
            return _Guest(sock, door)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        sock.close()
        raise ConnectionAbortedError  # nobody to serve, but the next one may come from elsewhere

    def _put_down(self, error: OSError) -> None:
        if time.monotonic() - self._told_at >= TOLD_EVERY_SECONDS:
            self._told_at = time.monotonic()
            _log.error(
                "resetting connections: %s; raise the limit of descriptors (ulimit -n)", error.strerror
            )
        self._give_up_reserve()
        with contextlib.suppress(OSError):  # it has gone by itself
            knocking, _ = super().accept()
            knocking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
            knocking.close()
        with contextlib.suppress(OSError):  # another thread was faster; the next one that ends gives room
            self._reserve = os.open(os.devnull, os.O_RDONLY)

    def close(self) -> None:
        self._give_up_reserve()
        super().close()

    def detach(self) -> int:  # so does uvloop close it
        self._give_up_reserve()
        return super().detach()

    def _give_up_reserve(self) -> None:
        if self._reserve >= 0:
            os.close(self._reserve)
        self._reserve = -1


class _Guest(socket.socket):
    """A connection that gives its place at the door back when it ends, if not before."""

    def __init__(self, sock: socket.socket, door: Door) -> None:
        super().__init__(sock.family, sock.type, sock.proto, sock.detach())
        self._door = door

    def close(self) -> None:
        self._door.leave(self.fileno())
        super().close()
