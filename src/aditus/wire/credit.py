"""How many bytes a peer may send: windows per stream, paid from budgets per session and process.

The receiver's side alone lives here (the sender's is one number in `wire.stream`). The invariant of a
`ReceiveWindow`, checked by the property tests: outstanding + unconsumed + returnable == size, and the
sizes of all windows of a budget add up to what it has spent.
"""

from aditus.wire.errors import Misuse, Violation

FIRST_WINDOW = 65_536
"""Bytes a stream starts with and never falls below: a thousand streams are 64 MiB."""
MAX_WINDOW = 16_777_216
"""Bytes one stream's window may grow to: 1 Gbit/s over a round trip of 134 ms."""
SESSION_BUDGET = 134_217_728
"""Bytes granted in one session: 1,024 streams have their first window, and some have room to grow."""
PROCESS_BUDGET = 536_870_912
"""Bytes granted in one process: 8,192 streams at their first window."""
SHORTEST_TURN = 0.0005
"""Seconds below which a round trip is not believed: scheduling alone takes as long on a busy machine. What
is in flight stands before whatever comes next, so this is the delay that bulk may cause on a short way."""
LONGEST_BURST = 0.004
"""Seconds over which speed is measured at least: what was read at once says nothing of it."""
EIGHTH = 8
"""The last eighth of a budget is for first windows: wide windows of slow readers never keep streams out.
Of what is left above it, growth takes an eighth at most: credit that was given cannot be taken back, and
streams that are wide and idle must not keep all others narrow."""


class Budget:
    """Bytes that may be promised to peers. A session's budget spends from its process's as well."""

    def __init__(self, limit: int, parent: "Budget | None" = None) -> None:
        self.limit = limit
        self.spent = 0
        self._parent = parent

    def reserve(self, size: int, *, growth: bool = False) -> bool:
        """Spend `size` bytes here and in the parent, or nothing: False. Growth is modest, see `EIGHTH`."""
        left = self.limit - self.spent
        if size > ((left - self.limit // EIGHTH) // EIGHTH if growth else left):
            return False
        if self._parent is not None and not self._parent.reserve(size, growth=growth):
            return False
        self.spent += size
        return True

    def release(self, size: int) -> None:
        """Give `size` reserved bytes back."""
        self.spent -= size
        if self._parent is not None:
            self._parent.release(size)

    @property
    def short(self) -> bool:
        """Whether first windows take of the last eighth, here or in the parent: then wide ones shrink."""
        own = self.limit - self.spent < self.limit // EIGHTH
        return own or (self._parent is not None and self._parent.short)


class ReceiveWindow:
    """The credit that the peer of one stream has, from OPEN to the last consumed byte.

    Created only after `first` bytes were reserved from `budget`; `close` gives everything back.
    """

    __slots__ = (
        "_budget",
        "_ended",
        "_first",
        "_limit",
        "_turned",
        "_turned_at",
        "outstanding",
        "returnable",
        "size",
        "unconsumed",
    )

    def __init__(self, budget: Budget, first: int, limit: int, now: float) -> None:
        self._budget = budget
        self._first = first
        self._limit = limit
        self._turned = 0  # bytes whose credit went back since `_turned_at`
        self._turned_at = now
        self._ended = False
        self.size = first
        self.outstanding = first  # the peer may still send these
        self.unconsumed = 0  # received, and not yet taken by the next hop
        self.returnable = 0  # consumed, and not yet given back

    def receive(self, size: int) -> None:
        """The peer sent `size` bytes. Raises `Violation` when it had no credit for them."""
        if size > self.outstanding:
            raise Violation(f"{size} bytes were sent with {self.outstanding} bytes of credit")
        self.outstanding -= size
        self.unconsumed += size

    def consume(self, size: int, now: float, rtt: float) -> int:
        """`size` bytes reached the next hop; returns the increment to send as WINDOW now, or 0.

        Credit goes back in halves of a window, or more. A window allows its size per round trip; when
        bytes were consumed at more than half that speed, it was the bottleneck, and doubles as far as
        the budgets allow.
        """
        if size > self.unconsumed:
            raise Misuse(f"{size} bytes were consumed where {self.unconsumed} were received")
        self.unconsumed -= size
        if self._ended:
            self._shrink(size)
            return 0
        self.returnable += size
        if self.returnable < self.size // 2:
            return 0
        increment = self.returnable
        if self._budget.short:
            surplus = min(increment, self.size - self._first)
            self._shrink(surplus)
            increment -= surplus
        else:
            increment += self._grow(increment, now, rtt)
        self.returnable = 0
        self.outstanding += increment
        return increment

    def _grow(self, consumed: int, now: float, rtt: float) -> int:
        """What the window gains after `consumed` more bytes, if it was the bottleneck of the last turn."""
        self._turned += consumed
        took = now - self._turned_at
        if took < max(rtt, LONGEST_BURST):
            return 0
        was_bottleneck = took * self.size < 2 * self._turned * max(rtt, SHORTEST_TURN)
        self._turned = 0
        self._turned_at = now
        growth = min(self.size, self._limit - self.size) if was_bottleneck else 0
        if not growth or not self._budget.reserve(growth, growth=True):
            return 0
        self.size += growth
        return growth

    def end(self) -> None:
        """The peer sends no more: only what is not consumed yet is still paid for."""
        self._ended = True
        self._shrink(self.outstanding + self.returnable)
        self.outstanding = self.returnable = 0

    def close(self) -> None:
        """Give the whole window back to the budgets; the window is not used afterwards."""
        self._shrink(self.size)

    def _shrink(self, size: int) -> None:
        self.size -= size
        self._budget.release(size)
