"""What Aditus must reach beside its peers, and whether a run says that it does."""

from dataclasses import dataclass
from typing import Literal

from bench.loads.iperf import DIRECTIONS
from bench.results import Results, Spread
from bench.ways.every import TWO_HOPS
from bench.ways.way import Role

OURS = "aditus"
SIDECAR = "sidecar"
DIRECT = ("direct",)
CHAIN = ("haproxy-tls",)
PEERS = tuple(way.name for way in TWO_HOPS if way.role is Role.PEER)
SSH_BOTH = ("ssh-both",)
CALLED = {
    DIRECT: "plain TCP",
    CHAIN: "the HAProxy chain with TLS",
    PEERS: "the best peer",
    SSH_BOTH: "ssh -L into ssh -R",
}


@dataclass(frozen=True, slots=True)
class Goal:
    """The median of a figure on our way (`ours`) is at least, or at most, `limit`.

    With `to`, it is the figure as a multiple of the best of these ways in this run, round by round.
    """

    what: str
    figure: str
    sign: Literal["≥", "≤"]
    limit: float
    to: tuple[str, ...] = ()
    unit: str = "×"
    ours: str = OURS

    @property
    def wanted(self) -> str:
        """The goal in words."""
        if self.to == PEERS and self.limit == 1.0:
            return "ahead of every peer"
        return f"{self.sign} {self.limit:g} {self.unit} {CALLED.get(self.to, '')}".strip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal as it came out: `found` is None where nothing was measured; `against` whom it was held to."""

    goal: Goal
    found: Spread | None
    against: str

    @property
    def is_reached(self) -> bool:
        return self.found is not None and self._short_by(self.found) <= 0

    @property
    def outcome(self) -> str:
        """Reached, or not and by how much."""
        if self.found is None:
            return "not measured"
        if self.is_reached:
            return "reached"
        return f"not reached, by {100 * self._short_by(self.found):.0f} %"

    def _short_by(self, found: Spread) -> float:
        """Which part of the limit is missing, or too much."""
        missing = self.goal.limit - found.median
        return (missing if self.goal.sign == "≥" else -missing) / self.goal.limit


def _three_hops(what: str, figure: str, sign: Literal["≥", "≤"], limit: float) -> Goal:
    return Goal(f"three hops: {what}", figure, sign, limit, SSH_BOTH, ours=SIDECAR)


GOALS: tuple[Goal, ...] = (
    *(Goal(f"bulk, one stream {way}", f"bulk.{way}", "≥", 1.25, PEERS) for way in DIRECTIONS),
    *(Goal(f"bulk, one stream {way}", f"bulk.{way}", "≥", 1.0, CHAIN) for way in DIRECTIONS),
    Goal("HTTP keep-alive, 64 connections, requests/s", "http.64.rate", "≥", 2.0, PEERS),
    Goal("HTTP keep-alive, 64 connections, requests/s", "http.64.rate", "≥", 1.2, CHAIN),
    Goal("HTTP keep-alive, 1 connection, p50", "http.1.p50", "≤", 0.8, PEERS),
    *(
        Goal(f"new connection per request, {count} at once", f"connect.{count}.rate", "≥", 1.5, PEERS)
        for count in (16, 64)
    ),
    Goal("pgbench -S, 1 client, transactions/s", "pgbench.1.tps", "≥", 1.0, PEERS),
    Goal("pgbench -S, 16 clients, transactions/s", "pgbench.16.tps", "≥", 1.0, PEERS),
    *(
        goal
        for way in DIRECTIONS
        for goal in (
            Goal(f"ping-pong beside bulk {way}, p99", f"pingpong.{way}.p99", "≤", 4.0, unit="ms"),
            Goal(f"ping-pong beside bulk {way}, p99", f"pingpong.{way}.p99", "≤", 1.0, PEERS),
            Goal(f"bulk {way} that is kept beside it", f"pingpong.{way}.kept", "≥", 80.0, unit="%"),
        )
    ),
    Goal("ping-pong while 500 keys are listed, p99", "lists.p99", "≤", 10.0, unit="ms"),
    *(Goal(f"long way {way}, from 3 s on", f"far.{way}", "≥", 0.9, DIRECT) for way in DIRECTIONS),
    *(Goal(f"long way {way}, from 3 s on", f"far.{way}", "≥", 1.0, PEERS) for way in DIRECTIONS),
    *(_three_hops(f"bulk, one stream {way}", f"bulk.{way}", "≥", 1.2) for way in DIRECTIONS),
    _three_hops("HTTP keep-alive, 64 connections, requests/s", "http.64.rate", "≥", 2.0),
    *(
        _three_hops(f"HTTP keep-alive, {many}, p50", f"http.{count}.p50", "≤", 0.8)
        for count, many in ((1, "1 connection"), (64, "64 connections"))
    ),
)


def verdicts(results: Results) -> list[Verdict]:
    """All goals as this run saw them."""
    return [_verdict(goal, results) for goal in GOALS]


def _verdict(goal: Goal, results: Results) -> Verdict:
    if not goal.to:
        return Verdict(goal, results.spread(goal.figure, goal.ours), "")
    best = results.best(goal.figure, goal.to, more_is_better=goal.sign == "≥")
    if best is None:
        return Verdict(goal, None, "")
    return Verdict(goal, results.ratio(goal.figure, goal.ours, best), best)
