"""`aditus serve` for these measurements: a process that can be killed and started again where it was."""

import os
import re
import signal
import time
from pathlib import Path

from aditus.client.rest import Client
from bench.limits.swarm import Member
from bench.programs import LOOPBACK, PATIENCE, Broken, Place, Program, free_ports, wait_for
from demo.stage import aditus

CAPABILITY = "integration"


class Serving:
    """A server on a folder of its own, on ports that it keeps."""

    def __init__(self, place: Place) -> None:
        self.program: Program
        self._place = place
        self._data = place.folder / "data"
        self._api, self._relay = free_ports(2)
        self._starts = 0
        self.start()
        self.wait()

    def start(self) -> None:
        """Start it, for the first time or again, without waiting."""
        self._starts += 1
        self.program = self._place.start(
            f"aditus serve {self._starts}",
            aditus(
                *("serve", "--data", str(self._data)),
                *("--api-listen", f"{LOOPBACK}:{self._api}"),
                *("--relay-listen", f"{LOOPBACK}:{self._relay}"),
                *("--metrics-listen", "off"),
            ),
        )

    def wait(self) -> None:
        """Wait until it serves."""
        program = self.program
        wait_for(
            lambda: " serving" in program.said(), lambda: f"serve is not ready: {program.tail()}", program
        )

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        os.kill(self.program.pid, signal.SIGKILL)
        self.program.wait(PATIENCE)

    @property
    def ca_file(self) -> str:
        return str(self._data / "ca.pem")

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return self._data / "aditus.db"

    def client(self) -> Client:
        """The API, as its owner."""
        return Client(f"http://{LOOPBACK}:{self._api}", (self._data / "owner.token").read_text().strip())

    def members(self, keys: int, agents_each: int, target: int) -> tuple[list[str], list[int], list[Member]]:
        """So many new keys, named and with an app port each, and who is to be their agents."""
        names, ports = [f"key-{number:03}" for number in range(keys)], free_ports(keys)
        members = []
        with self.client() as client:
            for name, port in zip(names, ports, strict=True):
                new = client.generate_key(name, CAPABILITY)
                if new.secret is None:
                    raise AssertionError("a key that was made here comes with its secret")
                member = Member(new.secret.reveal(), new.key.connect_url, f"{port}:{LOOPBACK}:{target}")
                members += [member] * agents_each
        return names, ports, members

    def agent(self, target: int) -> tuple[int, Program]:
        """One `aditus connect` that leads to `target`: its app port, and the program, attached."""
        _, [port], [member] = self.members(1, 1, target)
        program = self._place.start(
            "aditus connect",
            aditus(
                *(
                    "connect",
                    "--ca-file",
                    self.ca_file,
                    "--health-listen",
                    "off",
                    "-s",
                    member.spec,
                    member.url,
                )
            ),
            {"ADITUS_ACCESS_KEY": member.secret},
        )
        wait_for(lambda: "attached" in program.said(), lambda: f"not attached: {program.tail()}", program)
        self.program.wait_listening(port)
        return port, program


def peak(program: Program) -> int:
    """The most memory in bytes that this process ever had resident."""
    status = Path(f"/proc/{program.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    if found is None:
        raise Broken(f"{program.name}: this system does not tell its peak of memory")
    return int(found[1]) * 1_024


def cpu_seconds(program: Program) -> float:
    """What this process has used of all cores so far."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def highest(seconds: float, *programs: Program) -> list[int]:
    """Look on for so long; the most memory in bytes that each had resident meanwhile."""
    most = [0] * len(programs)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        most = [max(high, program.resident()) for high, program in zip(most, programs, strict=True)]
        time.sleep(0.02)
    return most
