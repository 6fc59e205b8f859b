"""A ping-pong: `python -m bench.pinger PORT SECONDS` sends 64 bytes, waits until they are back, and again.

It prints a line of JSON: how often, and round-trip times in milliseconds at `PERCENTS`.
"""

import json
import socket
import sys
from time import perf_counter_ns

from bench.programs import LOOPBACK

SIZE = 64
WARM_UP = 20
"""Round trips that are not counted if there were twice as many: the stream opens during the first."""
PERCENTS = (*range(1, 100), 99.5, 99.9)


def ping(port: int, seconds: float) -> list[int]:
    """Round-trip times in nanoseconds, sorted."""
    message = bytes(range(SIZE))
    back = memoryview(bytearray(SIZE))
    took: list[int] = []
    with socket.create_connection((LOOPBACK, port), 10.0) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        send, receive = sock.sendall, sock.recv_into
        until = perf_counter_ns() + int(seconds * 1e9)
        now = 0
        while now < until:
            before = perf_counter_ns()
            send(message)
            got = 0
            while got < SIZE:
                piece = receive(back[got:])
                if not piece:
                    raise ConnectionError("the connection ended in the middle of a ping-pong")
                got += piece
            now = perf_counter_ns()
            took.append(now - before)
    if len(took) >= 2 * WARM_UP:
        del took[:WARM_UP]
    took.sort()
    return took


def percentiles(ordered: list[int]) -> list[float]:
    """The values at `PERCENTS` of sorted nanoseconds, in milliseconds."""
    last = len(ordered) - 1
    return [round(ordered[min(last, int(len(ordered) * percent / 100))] / 1e6, 4) for percent in PERCENTS]


def main(port: str, seconds: str) -> None:
    took = ping(int(port), float(seconds))
    sys.stdout.write(json.dumps({"count": len(took), "milliseconds": percentiles(took)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
