"""All loads, in the order of the report."""

from collections.abc import Callable
from dataclasses import replace

from bench.loads import bulk, far, pingpong, postgres, scaling, wrk
from bench.loads.load import Load
from bench.ways.every import TWO_HOPS
from bench.ways.haproxy import HaproxyTls
from bench.ways.way import Role

QUICK_WAYS = frozenset(
    way.name for way in TWO_HOPS if way.role in (Role.OURS, Role.PEER) or way is HaproxyTls
)
"""Those that the goals for two hops speak of: there is no time for more."""
TWO = frozenset(way.name for way in TWO_HOPS)
FOR_THREE_HOPS = ("bulk", "http", "connect", "pingpong")
"""The loads that ways of three hops are measured with, too: the others would tell little more of them."""


def every(*, quick: bool) -> tuple[Load, ...]:
    """The loads, in their short form if `quick`."""
    makers: tuple[Callable[..., Load], ...] = (
        bulk.load,
        wrk.keep_alive,
        wrk.closing,
        postgres.load,
        pingpong.beside_bulk,
        pingpong.beside_lists,
        far.load,
        scaling.load,
    )
    loads = (make(quick=quick) for make in makers)
    return tuple(load if load.ways else replace(load, ways=_ways(load.name, quick=quick)) for load in loads)


def _ways(load: str, *, quick: bool) -> frozenset[str] | None:
    """Those that a load is for which does not say so itself."""
    if quick:
        return QUICK_WAYS
    return None if load in FOR_THREE_HOPS else TWO
