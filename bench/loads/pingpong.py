"""A 64-byte ping-pong beside something greedy: bulk in the same tunnel, or lists from the same server."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

from aditus.client.rest import Client
from aditus.domain.model import KeyState
from bench.loads import iperf
from bench.loads.load import Figure, Load, Measured, Turn
from bench.pinger import PERCENTS
from bench.programs import Broken, tool
from bench.targets import ECHO, IPERF
from bench.ways.aditus import CAPABILITY, Aditus, OpenedAditus

T = TypeVar("T")

STREAMS = 4
EDGE = 0.5
"""Seconds that bulk gets to be up to speed."""
SPARE = 5
"""Seconds that bulk would go on after the ping-pong, so that it is sure to last for all of it."""
KEYS = 500
EVERY = 0.1
"""Seconds from one list to the next."""


def beside_bulk(*, quick: bool) -> Load:
    directions = iperf.DIRECTIONS[:1] if quick else iperf.DIRECTIONS
    figures = [
        figure
        for direction in directions
        for figure in (
            Figure(f"pingpong.{direction}.p50", f"p50, bulk {direction}", "ms", False, 2),
            Figure(f"pingpong.{direction}.p99", f"p99, bulk {direction}", "ms", False, 2),
            Figure(
                f"pingpong.{direction}.bulk", f"bulk ×{STREAMS} {direction}, beside it", "Gbit/s", True, 2
            ),
            Figure(f"pingpong.{direction}.alone", f"bulk ×{STREAMS} {direction}, alone", "Gbit/s", True, 2),
            Figure(f"pingpong.{direction}.kept", f"bulk {direction} that is kept", "%", True, 0),
        )
    ]
    return Load(
        "pingpong",
        f"Ping-pong of 64 bytes beside {STREAMS} bulk streams",
        "One connection that sends 64 bytes and waits for them, in the same tunnel as iperf3 -P 4.",
        tuple(figures),
        partial(_beside_bulk, directions),
        needs=(IPERF,),
        rounds=1 if quick else None,
    )


def beside_lists(*, quick: bool) -> Load:
    return Load(
        "lists",
        f"Ping-pong while {KEYS} keys are listed 10 times a second",
        f"GET of the list of {KEYS} keys from the API of the same server stands in for a page of the "
        "console, which reads as much.",
        (
            Figure("lists.quiet.p99", "p99 without lists", "ms", False, 2),
            Figure("lists.p50", "p50", "ms", False, 2),
            Figure("lists.p99", "p99", "ms", False, 2),
            Figure("lists.rate", "lists", "per second", True, 1),
        ),
        _beside_lists,
        ways=frozenset({Aditus.name}),
        rounds=1 if quick else None,
    )


def _beside_bulk(directions: tuple[str, ...], turn: Turn) -> Measured:
    measured = Measured({})
    for direction in directions:
        longer = replace(turn, seconds=2 * turn.seconds + SPARE)
        with iperf.running(longer, direction, STREAMS) as bulk:
            time.sleep(EDGE)  # to get up to speed
            alone, _ = _rate(bulk, lambda: time.sleep(turn.seconds))
            beside, times = _rate(bulk, lambda: _ping(turn, turn.seconds))
        measured.curves[direction] = times
        measured.values |= {
            f"pingpong.{direction}.p50": _at(times, 50),
            f"pingpong.{direction}.p99": _at(times, 99),
            f"pingpong.{direction}.bulk": beside,
            f"pingpong.{direction}.alone": alone,
            f"pingpong.{direction}.kept": 100 * beside / alone,
        }
    return measured


def _rate(bulk: iperf.Running, meanwhile: Callable[[], T]) -> tuple[float, T]:
    """How much of it arrives while something else is done, in Gbit/s, and what came of that."""
    before, began = bulk.received(), time.monotonic()
    result = meanwhile()
    return (bulk.received() - before) * 8e-9 / (time.monotonic() - began), result


def _beside_lists(turn: Turn) -> Measured:
    opened = turn.opened
    if not isinstance(opened, OpenedAditus):
        raise AssertionError("only Aditus has keys to list")
    with Client(opened.api_url, opened.token) as client:
        _fill(client)
        quiet = _ping(turn, turn.seconds)
        with _listing(client) as answered:
            began = time.monotonic()
            times = _ping(turn, turn.seconds)
            rate = len(answered) / (time.monotonic() - began)
    if not rate:
        raise Broken("no list of the keys was answered")
    return Measured(
        {
            "lists.quiet.p99": _at(quiet, 99),
            "lists.p50": _at(times, 50),
            "lists.p99": _at(times, 99),
            "lists.rate": rate,
        },
        {"beside lists": times, "quiet": quiet},
    )


def _fill(client: Client) -> None:
    """Make keys until there are as many as a subscription may have."""
    there = sum(1 for key in client.list_keys() if key.state is not KeyState.REVOKED)
    for number in range(there, KEYS):
        client.generate_key(f"key-{number}", CAPABILITY)


@contextmanager
def _listing(client: Client) -> Iterator[list[int]]:
    """Ask for the list again and again meanwhile; the value grows by how many keys each list had."""
    over = threading.Event()
    counts: list[int] = []
    failures: list[Exception] = []

    def ask() -> None:
        due = time.monotonic()
        try:
            while not over.wait(max(0.0, due - time.monotonic())):
                due += EVERY
                counts.append(sum(1 for _ in client.list_keys()))
        except Exception as error:  # noqa: BLE001  told below, by the thread that can tell
            failures.append(error)

    asker = threading.Thread(target=ask, name="lists")
    asker.start()
    try:
        yield counts
    finally:
        over.set()
        asker.join()
    if failures:
        raise Broken(f"the list of the keys failed: {failures[0]}")


def _ping(turn: Turn, seconds: float) -> list[float]:
    command = [sys.executable, "-m", "bench.pinger", str(turn.port(ECHO)), str(seconds)]
    times: list[float] = json.loads(tool(command, seconds))["milliseconds"]
    return times


def _at(times: list[float], percent: int) -> float:
    return times[PERCENTS.index(percent)]
