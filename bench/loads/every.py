"""All loads, in the order of the report."""

from collections.abc import Callable

from bench.loads import bulk, far, pingpong, postgres, scaling, wrk
from bench.loads.load import Load


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
    return tuple(make(quick=quick) for make in makers)
