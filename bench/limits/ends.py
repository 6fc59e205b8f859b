"""Both ends of many streams: a process that plays the apps, and one that plays the service behind the agent.

An app says first how the service is to behave, and a number by which both ends know the stream.
"""

import selectors
import socket
import struct
import time
from collections.abc import Sequence
from enum import IntFlag
from multiprocessing.connection import Connection

from bench.limits.child import Child, answer
from bench.programs import LOOPBACK

HEAD = struct.Struct("!BI")
BLOCK = bytes(262_144)
SLOW_BYTES = 16_384
SLOW_EVERY = 0.1
"""Seconds: a slow reader takes `SLOW_BYTES` so often, 160 KB/s."""
SHORT_BUFFER = 65_536
"""Bytes that the kernel holds for each end of a slow reader: what waits, waits in the tunnel."""
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset


class Behave(IntFlag):
    """What an end does. One that does nothing stalls the stream, and does not hear of a reset."""

    NOTHING = 0
    WRITE = 1  # all that is taken
    READ = 2  # all that comes
    READ_SLOWLY = 4


class _End:
    """One end of one stream."""

    __slots__ = ("behaves", "head", "number", "sock")

    def __init__(self, sock: socket.socket, behaves: Behave, number: int, head: bytes | None = None) -> None:
        self.sock = sock
        self.behaves = behaves
        self.number = number
        self.head = head  # what came of it so far, of an end that is still to be told


class Ends:
    """The works of such a process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ, self._asked)
        self._buffer = memoryview(bytearray(262_144))
        self._ends: dict[int, _End] = {}
        self._heard = 0
        self._resets: dict[int, float] = {}
        self._serves = True
        self._sweep_at = 0.0

    # --- what can be asked ---

    def listen(self) -> int:
        """Be the service; at this port."""
        listener = socket.create_server((LOOPBACK, 0), backlog=4_096)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, lambda _: self._accept(listener))
        port: int = listener.getsockname()[1]
        return port

    def connect(self, ports: Sequence[int], first: int, here: int, there: int) -> None:
        """Open a stream at each of these ports, numbered from `first`; both ends behave so."""
        for number, port in enumerate(ports, first):
            sock = socket.socket()
            if Behave.READ_SLOWLY & here:
                _shorten(sock)
            sock.settimeout(10.0)
            sock.connect((LOOPBACK, port))
            sock.sendall(HEAD.pack(there, number))
            self._add(_End(sock, Behave(here), number))

    def streams(self) -> int:
        """Ends that are open and know what to do."""
        return len(self._ends)

    def heard(self) -> int:
        """Bytes that all ends have read so far."""
        return self._heard

    def reset(self, number: int) -> None:
        """End this stream with a reset."""
        end = self._ends[number]
        end.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._forget(end)

    def resets(self) -> dict[int, float]:
        """When which stream was seen to be reset by the other side (monotonic seconds)."""
        return self._resets

    # --- how ---

    def run(self) -> None:
        """Until nobody asks any more."""
        while self._serves:
            wait = max(0.0, self._sweep_at - time.monotonic())
            for key, mask in self._selector.select(wait):
                key.data(mask)
            if time.monotonic() >= self._sweep_at:
                self._sweep_at = time.monotonic() + SLOW_EVERY
                for end in [end for end in self._ends.values() if Behave.READ_SLOWLY in end.behaves]:
                    self._read(end, SLOW_BYTES)

    def _asked(self, _mask: int) -> None:
        self._serves = answer(self._pipe, self)

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        self._watch(_End(sock, Behave.READ, -1, b""))

    def _add(self, end: _End) -> None:
        self._ends[end.number] = end
        self._watch(end)

    def _watch(self, end: _End) -> None:
        end.sock.setblocking(False)
        events = selectors.EVENT_READ * (Behave.READ in end.behaves)
        events |= selectors.EVENT_WRITE * (Behave.WRITE in end.behaves)
        if events:
            self._selector.register(end.sock, events, lambda mask: self._ready(end, mask))

    def _ready(self, end: _End, mask: int) -> None:
        if end.sock.fileno() < 0:
            return  # it was ended in this turn
        if end.head is not None:
            self._be_told(end, end.head)
            return
        if mask & selectors.EVENT_READ:
            self._read(end, len(self._buffer))
        if mask & selectors.EVENT_WRITE and end.sock.fileno() >= 0:
            try:
                end.sock.send(BLOCK)
            except BlockingIOError:
                return
            except ConnectionError:
                self._was_reset(end)

    def _be_told(self, end: _End, head: bytes) -> None:
        try:
            got = end.sock.recv(HEAD.size - len(head))
        except BlockingIOError:
            return
        except ConnectionError:
            got = b""
        end.head = head + got
        if got and len(end.head) < HEAD.size:
            return
        self._selector.unregister(end.sock)
        if not got:
            end.sock.close()
            return
        behaves, number = HEAD.unpack(end.head)
        if behaves & Behave.READ_SLOWLY:
            _shorten(end.sock)
        self._add(_End(end.sock, Behave(behaves), number))

    def _read(self, end: _End, limit: int) -> None:
        try:
            got = end.sock.recv_into(self._buffer, limit)
        except BlockingIOError:
            return
        except ConnectionError:
            self._was_reset(end)
            return
        self._heard += got
        if not got:
            self._forget(end)

    def _was_reset(self, end: _End) -> None:
        self._resets[end.number] = time.monotonic()
        self._forget(end)

    def _forget(self, end: _End) -> None:
        self._ends.pop(end.number, None)
        if end.sock in self._selector.get_map():
            self._selector.unregister(end.sock)
        end.sock.close()


def _shorten(sock: socket.socket) -> None:
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, SHORT_BUFFER)


def _main(pipe: Connection) -> None:
    Ends(pipe).run()


def child(name: str) -> Child:
    """A process that plays ends."""
    return Child(name, _main)
