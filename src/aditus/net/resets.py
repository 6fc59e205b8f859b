"""Sees to it that a TCP reset is heard, where the loop would keep it to itself.

Behind unread bytes uvloop 0.23 runs a reader once more and never again, so that the reset itself is not seen;
and of whom nobody reads from at the moment no loop says that they are gone. Linux tells of errors also for a
descriptor that waits for nothing: so each loop has one epoll of all watched connections, and reads from that.
"""

import asyncio
import select
import socket
from collections.abc import Callable
from weakref import WeakKeyDictionary

READS = 256
"""After a reset, the turns in which what came before it is read: more than any receive buffer holds."""

_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch]" = WeakKeyDictionary()


def watch(transport: asyncio.Transport) -> Callable[[], None]:
    """Let the protocol of a TCP or TLS transport hear of a reset, until the returned function is called.

    It still gets the bytes that came before, unless it has paused reading. Does nothing but on Linux.
    """
    if not hasattr(select, "epoll"):
        return _nothing
    loop = asyncio.get_running_loop()
    found = _watches.get(loop)
    if found is None:
        found = _watches[loop] = _Watch(loop)
    sock: socket.socket = transport.get_extra_info("socket")
    return found.add(sock.fileno(), transport)


def _nothing() -> None:
    """Nothing is watched here."""


class _Watch:
    """The epoll of one loop. It is closed with its last connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transports: dict[int, asyncio.Transport] = {}
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._ready)

    def add(self, descriptor: int, transport: asyncio.Transport) -> Callable[[], None]:
        # Errors are told without being asked for, and the kernel forgets a closed descriptor by itself.
        self._epoll.register(descriptor, select.EPOLLET)
        self._transports[descriptor] = transport
        return lambda: self._remove(descriptor, transport)

    def _remove(self, descriptor: int, transport: asyncio.Transport) -> None:
        if self._transports.get(descriptor) is not transport:
            return  # the number is another connection's by now
        del self._transports[descriptor]
        if not self._transports:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            del _watches[self._loop]

    def _ready(self) -> None:
        for descriptor, events in self._epoll.poll(0):
            if events & select.EPOLLERR and (transport := self._transports.get(descriptor)) is not None:
                self._read_to_the_end(transport, READS)

    def _read_to_the_end(self, transport: asyncio.Transport, reads: int) -> None:
        if transport.is_closing():
            return
        if not reads or not transport.is_reading():
            transport.abort()
            return
        transport.pause_reading()  # and on again, so that the loop looks anew
        transport.resume_reading()
        self._loop.call_soon(self._read_to_the_end, transport, reads - 1)
