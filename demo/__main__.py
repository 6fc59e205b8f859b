"""`make demo`: the main job, end to end. Exit code 0 only if every step held; KEEP=1 stays up."""

import os
import signal
import sys
import time
from types import FrameType

from rich.console import Console

from demo.stage import StepFailed
from demo.story import Story

PIPE_WIDTH = 110


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    try:
        Story(console, keep=os.environ.get("KEEP", "") not in ("", "0")).tell()
    except StepFailed as failure:
        console.print(f"\n[bold red]✗  {failure}[/bold red]", highlight=False, markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nStopped.")
        return 130
    console.print(f"\n[bold green]Every step held[/bold green], in {time.monotonic() - started:.0f} seconds.")
    return 0


def _leave(number: int, _frame: FrameType | None) -> None:
    # Python would die at once, and what the demo has started would stay.
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
