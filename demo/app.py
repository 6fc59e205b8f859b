"""The cloud app of the demo, a process of its own: reads a result without an end until something ends it.

`python -m demo.app URL` prints a line of JSON every thousand rows, and a last one with the error.
"""

import json
import sys
import time

import psycopg

QUERY = "SELECT generate_series(1, 100000000), repeat('x', 2000)"
EVERY = 1_000  # rows


def main(url: str) -> int:
    rows = 0
    try:
        with psycopg.connect(url) as connection:
            for _ in connection.cursor().stream(QUERY, size=100):
                rows += 1
                if rows % EVERY == 0:
                    _tell(rows, "")
    except psycopg.OperationalError as error:
        _tell(rows, str(error).strip().splitlines()[0])
        return 1
    return 0


def _tell(rows: int, error: str) -> None:
    # The monotonic clock is the machine's: the demo compares it with its own.
    print(json.dumps({"rows": rows, "at": time.monotonic(), "error": error}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
