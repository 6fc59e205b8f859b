"""Whether the peer of a session is alive, and how long it takes to answer: PING and PONG."""

from aditus.wire.frames import PING_SIZE, decode_ping, encode_ping

PING_AFTER = 15.0
"""Seconds of silence before a PING: proxies cut what idles for 60 s."""
DEAD_AFTER = 45.0
"""Seconds of silence after which the peer is taken for dead."""
MEASURE_EVERY = 1.0
"""Seconds between two measurements of the round trip while credit is being returned."""
FORGET_SLOWLY = 16
"""A slower answer raises the round trip by a sixteenth at most: it mostly waited behind data, and is no
reason to widen windows."""


class Liveness:
    """When the peer was heard, and what it was asked. Times are monotonic seconds."""

    def __init__(self, now: float) -> None:
        self.heard_at = now
        self.rtt = 0.0
        """Seconds of the round trip: a shorter one counts at once, a longer one slowly; 0 until measured."""
        self._pinged_at = now
        self._asked: bytes | None = None  # the PING that was not answered yet
        self._pings = 0

    def dead(self, now: float) -> bool:
        """Whether the peer has been silent for too long."""
        return now - self.heard_at >= DEAD_AFTER

    def must_ask(self, now: float) -> bool:
        """Whether the peer is silent, and was not asked lately."""
        return now - max(self.heard_at, self._pinged_at) >= PING_AFTER

    def must_measure(self, now: float) -> bool:
        """Whether the round trip was not measured lately, and is not being measured."""
        return self._asked is None and now - self._pinged_at >= MEASURE_EVERY

    def next_at(self) -> float:
        """When `dead` or `must_ask` can become true at the earliest."""
        return min(max(self.heard_at, self._pinged_at) + PING_AFTER, self.heard_at + DEAD_AFTER)

    def ping(self, now: float) -> bytes:
        """The frame that asks the peer now; an earlier question is forgotten."""
        self._pings += 1
        self._asked = self._pings.to_bytes(PING_SIZE)
        self._pinged_at = now
        return encode_ping(self._asked)

    def pong(self, payload: bytes, now: float) -> None:
        """The peer answered; answers to earlier questions say nothing. Raises `Violation`."""
        if decode_ping(payload) != self._asked:
            return
        sample = now - self._pinged_at
        if not self.rtt or sample < self.rtt:
            self.rtt = sample
        else:
            self.rtt = min(sample, self.rtt * (1 + 1 / FORGET_SLOWLY))
        self._asked = None
