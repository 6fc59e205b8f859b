"""`make demo`: the main job, end to end. Exit code 0 only if every step held; KEEP=1 stays up."""

import os
import sys
import time

from rich.console import Console

from demo.stage import StepFailed
from demo.story import Story

PIPE_WIDTH = 110


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    started = time.monotonic()
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


if __name__ == "__main__":
    sys.exit(main())
