"""The machine that a run was made on, as far as its figures depend on it."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench import install
from bench.install import Unavailable
from bench.programs import ROOT

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")
TOOLS = {"iperf3": "--version", "wrk": "-v", "nginx": "-v"}


def describe() -> dict[str, str]:
    """What it is, in words, for the head of a report."""
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    model = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{int(memory[1]) / 2**20:.0f} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.release()}, TCP with {CONGESTION.read_text().strip()}",
        "Python": platform.python_version(),
        "Aditus": _commit(),
        "tools": ", ".join(_version(name, option) for name, option in TOOLS.items()),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or "not a checkout of git"


def _version(name: str, option: str) -> str:
    try:
        said = install.version([install.debian(name, name), option])
    except Unavailable:
        return f"no {name}"
    number = re.search(r"\d+(\.\d+)+", said)
    return f"{name} {number[0] if number else said}"
