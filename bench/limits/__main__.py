"""`python -m bench.limits [NAME …] [--full]`: one line for each row, as soon as it is measured."""

import argparse
import signal
import sys
from types import FrameType
from typing import NoReturn

from aditus.domain.errors import AditusError
from bench.limits.every import EVERY, measure
from bench.programs import Broken


def main() -> int:
    """0 if all was measured, whether its goals are reached or not."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.limits", description="Measure what Aditus must hold."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EVERY)}; all by default")
    parser.add_argument("--full", action="store_true", help="full sizes, which take minutes")
    given = parser.parse_args()
    if unknown := set(given.names) - EVERY.keys():
        parser.error(f"there is no measurement called {', '.join(sorted(unknown))}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    failed = 0
    try:
        for name in given.names or EVERY:
            try:
                for row in measure(name, full=given.full):
                    sys.stdout.write(f"{row}\n")
                    sys.stdout.flush()
            except (Broken, AditusError) as error:
                failed += 1
                sys.stderr.write(f"{name} is left out: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; everything that was started has ended.\n")
        return 130
    return 1 if failed else 0


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
