"""A long way between the two ends of a tunnel: the delay proxy of the tests, as a process for each port."""

import sys
from dataclasses import dataclass

from bench.programs import Place, free_ports


@dataclass(frozen=True, slots=True)
class LongWay:
    """`rtt_ms` there and back, and `mbit` Mbit/s in each direction."""

    rtt_ms: int
    mbit: int

    def before(self, port: int, place: Place) -> int:
        """The port of a new proxy that leads to `port`; it ends with the place."""
        (listen,) = free_ports(1)
        command = [sys.executable, "-m", "tests.longway", str(listen), str(port)]
        shape = ["--rtt-ms", str(self.rtt_ms), "--mbit", str(self.mbit)]
        place.start(f"long way to {port}", [*command, *shape]).wait_listening(listen)
        return listen
