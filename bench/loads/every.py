"""All loads, in the order of the report."""

from collections.abc import Callable
from dataclasses import replace

from bench.loads import bulk, far, pingpong, postgres, scaling, wrk
from bench.loads.load import Load
from bench.ways.every import EVERY
from bench.ways.haproxy import HaproxyTls
from bench.ways.way import Role

QUICK_WAYS = frozenset(way.name for way in EVERY if way.role in (Role.OURS, Role.PEER) or way is HaproxyTls)
"""Those that the goals speak of: there is no time for more."""


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
    loads = tuple(make(quick=quick) for make in makers)
    if quick:
        loads = tuple(replace(load, ways=load.ways or QUICK_WAYS) for load in loads)
    return loads
