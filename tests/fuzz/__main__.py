"""`make fuzz`: sessions for so many seconds, as `python -m tests.fuzz SECONDS [SEED[/SESSION]]`."""

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.fuzzer import Fuzzer


async def fuzz(seconds: float, seed: str, first: int) -> Fuzzer:
    """Lead sessions until the time is over. Raises `AssertionError` with the story of the one that failed."""
    ends_at = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        async with Fuzzer(Path(folder), seed, first) as fuzzer:
            while time.monotonic() < ends_at:
                await fuzzer.session()
        return fuzzer


def main(seconds: str, seed: str = "") -> int:
    """The exit code: 0 when everything held."""
    seed, _, first = (seed or os.urandom(4).hex()).partition("/")
    say = sys.stdout.write
    say(f"Fuzzing for {seconds} s with seed {seed}; again: make fuzz SECONDS={seconds} SEED={seed}\n")
    sys.stdout.flush()
    new_loop = asyncio.new_event_loop
    if sys.platform != "win32":
        import uvloop

        new_loop = uvloop.new_event_loop
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            fuzzer = runner.run(fuzz(float(seconds), seed, int(first or 0)))
    except AssertionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    ends = ", ".join(f"{count} {end}" for end, count in fuzzer.ends.most_common())
    say(f"{fuzzer.frames} frames in {fuzzer.ends.total()} sessions: {ends}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
