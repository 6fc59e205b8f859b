"""How often somebody may ask: whoever has no valid token by source, everybody else by caller. Bounded memory.

The buckets are those of one process. A source is an IPv4 address or an IPv6 /64, the part of an address
that one holder changes at will.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from aditus.domain.errors import AditusError, Code

FAILURES = 30
"""Failed authentications that a source has at once."""
FAILURES_PER_SECOND = 0.5
REQUESTS = 500
"""Requests that a caller has at once: a script that does one thing for each of 500 keys never waits."""
REQUESTS_PER_SECOND = 100.0
REMEMBERED = 10_000
"""Sources and callers that are known at a time. The one unheard of for longest is forgotten first."""
LONGEST_WAIT = 60.0


class SlowDown(AditusError):
    """Too much for now (HTTP 429); `retry_after` in whole seconds, at least 1."""

    def __init__(self, message: str, retry_after: float, remedy: str = "") -> None:
        self.retry_after = max(1, min(int(LONGEST_WAIT), int(-(-retry_after // 1))))
        super().__init__(
            Code.LIMIT,
            "slow-down",
            message,
            remedy=remedy or f"Wait {self.retry_after} s (Retry-After), then go on more slowly.",
        )


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Buckets:
    """Token buckets by name: `burst` at once, then `rate` per second. `now` is monotonic seconds."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst = burst
        self._rate = rate
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait(self, name: str, now: float) -> float:
        """Seconds until this bucket has one again; 0: it has one now."""
        bucket = self._buckets.get(name)
        return 0.0 if bucket is None else max(0.0, (1.0 - self._filled(bucket, now)) / self._rate)

    def spend(self, name: str, now: float) -> None:
        """Take one, where there is one."""
        bucket = self._buckets.pop(name, None) or _Bucket(self._burst, now)
        self._buckets[name] = _Bucket(max(0.0, self._filled(bucket, now) - 1.0), now)
        if len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)

    def __len__(self) -> int:
        return len(self._buckets)

    def _filled(self, bucket: _Bucket, now: float) -> float:
        return min(self._burst, bucket.left + (now - bucket.at) * self._rate)


class Limits:
    """What the gate asks before and after it knows who asks. Safe for use from many threads."""

    def __init__(
        self,
        *,
        failures: int = FAILURES,
        requests: int = REQUESTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed = Buckets(failures, FAILURES_PER_SECOND)
        self._asked = Buckets(requests, REQUESTS_PER_SECOND)
        self._good: OrderedDict[bytes, None] = OrderedDict()

    def admit(self, source: str, credential: str) -> None:
        """Before a credential is looked at. Raises `SlowDown` for a source that failed too often.

        One that was good lately is looked at all the same: who shares an address with a stranger (a proxy,
        a machine) is not locked out by what the stranger tries.
        """
        with self._lock:
            wait = self._failed.wait(source, self._clock())
            if wait and _digest(credential) not in self._good:
                raise SlowDown("Too many requests from this address had no valid credential.", wait)

    def failed(self, source: str) -> None:
        """The credential was none."""
        with self._lock:
            self._failed.spend(source, self._clock())

    def authenticated(self, caller_id: str, credential: str) -> None:
        """The credential is this caller's. Raises `SlowDown` for a caller who asks too often."""
        digest = _digest(credential)
        with self._lock:
            self._good[digest] = None
            self._good.move_to_end(digest)
            if len(self._good) > REMEMBERED:
                self._good.popitem(last=False)
            now = self._clock()
            wait = self._asked.wait(caller_id, now)
            if wait:
                raise SlowDown("This caller asks too often.", wait)
            self._asked.spend(caller_id, now)


def source_of(client: tuple[str, int] | None) -> str:
    """By what requests from an ASGI client are counted: its IPv4 address, or its IPv6 /64."""
    if client is None:
        return ""
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return ""  # no address (a Unix socket, a proxy's own word): all of these are one source
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _digest(credential: str) -> bytes:
    return hashlib.blake2b(credential.encode("utf-8", "surrogatepass"), digest_size=16).digest()
