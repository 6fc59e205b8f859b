"""One stream as a session sees it: its state, its credit, and what waits to be sent.

Every change of a stream's state is a row of `TRANSITIONS`, and the picture in docs/wire-protocol.md is
drawn from it. A move that has no row is a `Violation` when the peer makes it, and `Misuse` when we do.
"""

from collections import deque
from enum import Enum, auto

from aditus.wire.credit import ReceiveWindow
from aditus.wire.errors import Misuse, Violation


class State(Enum):
    """Where a stream is. "Local" is this side of the session, "remote" the other."""

    OPENING = auto()  # we sent OPEN
    OPENING_ENDED = auto()  # we sent OPEN and FIN
    DIALING = auto()  # we got OPEN
    DIALING_ENDED = auto()  # we got OPEN and FIN
    OPEN = auto()
    LOCAL_ENDED = auto()  # we sent FIN
    REMOTE_ENDED = auto()  # we got FIN
    CLOSED = auto()


class Move(Enum):
    """What changes a state."""

    SEND_ACCEPT = auto()
    RECV_ACCEPT = auto()
    SEND_FIN = auto()
    RECV_FIN = auto()
    SEND_RESET = auto()
    RECV_RESET = auto()


_OURS = frozenset({Move.SEND_ACCEPT, Move.SEND_FIN, Move.SEND_RESET})
_LIVE = tuple(state for state in State if state is not State.CLOSED)

TRANSITIONS: dict[tuple[State, Move], State] = {
    (State.OPENING, Move.RECV_ACCEPT): State.OPEN,
    (State.OPENING, Move.SEND_FIN): State.OPENING_ENDED,
    (State.OPENING_ENDED, Move.RECV_ACCEPT): State.LOCAL_ENDED,
    (State.DIALING, Move.SEND_ACCEPT): State.OPEN,
    (State.DIALING, Move.RECV_FIN): State.DIALING_ENDED,
    (State.DIALING_ENDED, Move.SEND_ACCEPT): State.REMOTE_ENDED,
    (State.OPEN, Move.SEND_FIN): State.LOCAL_ENDED,
    (State.OPEN, Move.RECV_FIN): State.REMOTE_ENDED,
    (State.LOCAL_ENDED, Move.RECV_FIN): State.CLOSED,
    (State.REMOTE_ENDED, Move.SEND_FIN): State.CLOSED,
    **{(state, Move.SEND_RESET): State.CLOSED for state in _LIVE},
    **{(state, Move.RECV_RESET): State.CLOSED for state in _LIVE},
}

_LOCAL_MAY_SEND = frozenset({State.OPENING, State.OPEN, State.REMOTE_ENDED})
_REMOTE_MAY_SEND = frozenset({State.DIALING, State.OPEN, State.LOCAL_ENDED})

COALESCE_BELOW = 16_384
"""Bytes up to which waiting chunks are joined: a flood of tiny writes costs no more than its bytes."""


class Stream:
    """State, credit and send queue of one stream. Owned by its `Session`; nobody else changes it."""

    __slots__ = (
        "closed",
        "congested",
        "credit",
        "deficit",
        "ending",
        "grant",
        "local_may_send",
        "number",
        "offset",
        "port",
        "queue",
        "queued",
        "remote_may_send",
        "scheduled",
        "state",
        "watched",
        "window",
    )

    def __init__(self, number: int, port: int, state: State, credit: int, window: ReceiveWindow) -> None:
        self.number = number
        self.port = port
        self.credit = credit  # bytes the peer lets us send
        self.window = window  # bytes we let the peer send
        self.queue: deque[bytearray] = deque()
        self.offset = 0  # bytes of the first chunk that were sent already
        self.queued = 0  # bytes in `queue` that were not sent yet
        self.ending = False  # FIN waits behind the queue
        self.congested = False  # the driver was told to stop for now
        self.watched = False  # the driver is told what leaves the queue
        self.grant = 0  # credit that waits to be sent as WINDOW
        self.deficit = 0  # bytes this stream may still send in its turn
        self.scheduled = False  # it is in the scheduler's ring
        self._enter(state)

    def _enter(self, state: State) -> None:
        self.state = state
        self.closed = state is State.CLOSED
        self.local_may_send = state in _LOCAL_MAY_SEND and not self.ending
        self.remote_may_send = state in _REMOTE_MAY_SEND

    def move(self, move: Move) -> None:
        """Change the state as the table says; raises `Violation` or `Misuse` where it has no row."""
        after = TRANSITIONS.get((self.state, move))
        if after is None:
            error = Misuse if move in _OURS else Violation
            raise error(f"{move.name} on stream {self.number}, which is {self.state.name}")
        self._enter(after)

    def enqueue(self, data: bytes | bytearray | memoryview) -> None:
        """Copy `data`, at least 1 byte, to the end of the queue."""
        size = len(data)
        if self.queue and len(self.queue[-1]) + size <= COALESCE_BELOW:
            self.queue[-1] += data
        else:
            self.queue.append(bytearray(data))
        self.queued += size

    def end(self) -> None:
        """Nothing more will be enqueued: FIN waits behind the queue."""
        self.ending = True
        self.local_may_send = False

    def take(self, limit: int) -> memoryview:
        """Remove up to `limit` bytes (at least 1) from the front of the queue; spends credit.

        The view must be gone before the next `enqueue`: a chunk cannot grow while it is looked at.
        """
        head = self.queue[0]
        taken = memoryview(head)[self.offset : self.offset + limit]
        size = len(taken)
        self.offset += size
        if self.offset == len(head):
            self.queue.popleft()
            self.offset = 0
        self.queued -= size
        self.credit -= size
        return taken

    @property
    def wants_to_send(self) -> bool:
        """Whether DATA or FIN could go out now."""
        return self.credit > 0 if self.queued else self.ending

    @property
    def finished(self) -> bool:
        """Whether nothing is left to send, receive or consume, so that it can be forgotten."""
        return self.closed and not self.window.unconsumed
