"""All measurements by name, and how one is run: a folder of its own, and everything ended by process id."""

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.limits import idle, memory, revoke, stalled
from bench.limits.row import Row
from bench.programs import Place

EVERY: dict[str, Callable[..., Iterator[Row]]] = {
    module.NAME: module.measure for module in (stalled, idle, memory, revoke)
}


def measure(name: str, *, full: bool) -> Iterator[Row]:
    """The rows of one measurement, as they come. Raises `Broken`; `AditusError` for what the API refuses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="aditus-limits-")))
        yield from EVERY[name](Place(folder, stack), full=full)
