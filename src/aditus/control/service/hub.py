"""Who follows what happens in a subscription: each has a bounded queue, and one that lags is let go."""

import threading
from collections import Counter, deque
from collections.abc import Callable

from aditus.domain.errors import AditusError, Code
from aditus.domain.happenings import Event

MAX_WAITING = 1_000
"""Events that a follower may be behind; a revoke of 500 keys is one event each, and one of the quota."""
FOLLOWERS = 200
FOLLOWERS_PER_CALLER = 10


class Follower:
    """One who follows a subscription, until `Hub.leave`. `wake` is called from any thread: no blocking."""

    def __init__(self, subscription_id: str, caller_id: str, wake: Callable[[], None]) -> None:
        self.subscription_id = subscription_id
        self.caller_id = caller_id
        self.lagged = False
        """Events were lost: what is to be known has to be read anew."""
        self.closed = False
        """The server stops."""
        self._wake = wake
        self._waiting: deque[Event] = deque()

    def take(self) -> list[Event]:
        """What happened since the last time, oldest first. Each event is taken once."""
        taken = []
        while self._waiting:
            taken.append(self._waiting.popleft())
        return taken

    def give(self, event: Event) -> None:
        """Queue it, or note that there is no room."""
        if self.lagged:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.lose()
            return
        self._waiting.append(event)
        self._wake()

    def lose(self) -> None:
        """What happened cannot be told."""
        self.lagged = True
        self._waiting.clear()
        self._wake()

    def close(self) -> None:
        """Nothing more will come."""
        self.closed = True
        self._wake()


class Hub:
    """The followers of this process, by subscription. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: dict[str, list[Follower]] = {}
        self._by_caller: Counter[str] = Counter()
        self._closed = False

    def __len__(self) -> int:
        with self._lock:
            return self._by_caller.total()

    def follow(self, subscription_id: str, caller_id: str, wake: Callable[[], None]) -> Follower:
        """Be told from now on. Raises limit `too-many-followers`, and unavailable `not-ready` at the end."""
        follower = Follower(subscription_id, caller_id, wake)
        with self._lock:
            if self._closed:
                raise AditusError(
                    Code.UNAVAILABLE,
                    "not-ready",
                    "The server is stopping.",
                    remedy="Ask again in some seconds.",
                )
            if self._by_caller[caller_id] >= FOLLOWERS_PER_CALLER or self._by_caller.total() >= FOLLOWERS:
                raise AditusError(
                    Code.LIMIT,
                    "too-many-followers",
                    f"A caller has {FOLLOWERS_PER_CALLER} streams of events at once, all have {FOLLOWERS}.",
                    remedy="End a stream of events that nobody reads.",
                )
            self._by_caller[caller_id] += 1
            self._followers.setdefault(subscription_id, []).append(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Be told no more. Again is no harm."""
        with self._lock:
            here = self._followers.get(follower.subscription_id, [])
            if follower not in here:
                return
            here.remove(follower)
            if not here:
                del self._followers[follower.subscription_id]
            self._by_caller[follower.caller_id] -= 1
            if not self._by_caller[follower.caller_id]:
                del self._by_caller[follower.caller_id]

    def is_followed(self, subscription_id: str) -> bool:
        """Whether anybody wants to know: what is costly to tell need not be found out for nobody."""
        with self._lock:
            return subscription_id in self._followers

    def publish(self, subscription_id: str, event: Event) -> None:
        """Tell all who follow this subscription."""
        with self._lock:
            for follower in self._followers.get(subscription_id, ()):
                follower.give(event)

    def lose(self, subscription_id: str) -> None:
        """Something happened that cannot be told: those who follow have to read anew."""
        with self._lock:
            for follower in self._followers.get(subscription_id, ()):
                follower.lose()

    def close(self) -> None:
        """End all, and take no more."""
        with self._lock:
            self._closed = True
            for followers in self._followers.values():
                for follower in followers:
                    follower.close()
