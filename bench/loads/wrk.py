"""wrk against nginx: keep-alive with few and many connections, and a new connection for each request."""

import re
from dataclasses import dataclass
from functools import partial

from bench import install
from bench.loads.load import Figure, Load, Measured, Turn
from bench.programs import LOOPBACK, Broken, tool
from bench.targets import BODY, HTTP

KEEP_ALIVE = (1, 64, 1000)
CLOSING = (16, 64)
WRONG = 0.01
"""The part of the requests that may fail before a result counts as none."""
MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Answered:
    """Requests per second, and latency in milliseconds."""

    rate: float
    p50: float
    p99: float


def keep_alive(*, quick: bool) -> Load:
    counts = KEEP_ALIVE[1:2] if quick else KEEP_ALIVE
    return Load(
        "http",
        "HTTP, keep-alive",
        f"wrk with one thread; nginx with one worker answers {BODY} bytes.",
        tuple(figure for count in counts for figure in _figures("http", count)),
        partial(_measure, "http", counts, ()),
        needs=(HTTP,),
    )


def closing(*, quick: bool) -> Load:
    counts = CLOSING[:1] if quick else CLOSING
    return Load(
        "connect",
        "HTTP, a new connection for each request",
        "wrk as above, with Connection: close.",
        tuple(figure for count in counts for figure in _figures("connect", count)),
        partial(_measure, "connect", counts, ("-H", "Connection: close")),
        needs=(HTTP,),
        rounds=1 if quick else None,
    )


def _figures(name: str, count: int) -> tuple[Figure, ...]:
    many = f"{count} connection{'s' if count > 1 else ''}"
    return (
        Figure(f"{name}.{count}.rate", many, "req/s", digits=0),
        Figure(f"{name}.{count}.p50", f"{many}, p50", "ms", more_is_better=False, digits=3),
        Figure(f"{name}.{count}.p99", f"{many}, p99", "ms", more_is_better=False, digits=3),
    )


def _measure(name: str, counts: tuple[int, ...], options: tuple[str, ...], turn: Turn) -> Measured:
    program = install.debian("wrk", "wrk")
    values: dict[str, float] = {}
    for count in counts:
        shape = ["-t", "1", "-c", str(count), "-d", f"{turn.seconds}s", "--timeout", "10s", "--latency"]
        said = tool([program, *shape, *options, f"http://{LOOPBACK}:{turn.port(HTTP)}/"], turn.seconds)
        answered = parse(said)
        values |= {
            f"{name}.{count}.rate": answered.rate,
            f"{name}.{count}.p50": answered.p50,
            f"{name}.{count}.p99": answered.p99,
        }
    return Measured(values)


def parse(said: str) -> Answered:
    """What wrk found out. Raises `Broken` when requests failed."""
    requests = re.search(r"^\s*(\d+) requests in ", said, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", said, re.MULTILINE)
    percents = dict(re.findall(r"^\s*(50|99)%\s+([\d.]+(?:us|ms|s|m)) *$", said, re.MULTILINE))
    if not requests or not rate or len(percents) < 2:
        raise Broken(f"wrk said what nobody expects: {' / '.join(said.splitlines())}")
    failed = sum(map(int, re.findall(r"(?:connect|read|write|timeout) (\d+)", said)))
    failed += sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    if failed > WRONG * int(requests[1]):
        raise Broken(f"{failed} requests failed, beside {requests[1]} that were answered")
    return Answered(float(rate[1]), _milliseconds(percents["50"]), _milliseconds(percents["99"]))


def _milliseconds(text: str) -> float:
    number = re.match(r"[\d.]+", text)
    if number is None:
        raise Broken(f"wrk said {text!r} for a time")
    return float(number[0]) * MILLISECONDS[text[number.end() :]]
