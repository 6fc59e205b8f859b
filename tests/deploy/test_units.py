"""The systemd units: what systemd says of them, and whether our own command line understands them.

No test starts them: that takes a machine which systemd runs. But tests/process/test_confined.py starts the
programs with what their units leave them.
"""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from aditus.cli import exits
from aditus.cli.main import root
from aditus.wiring.serve import DRAIN_SECONDS

FOLDER = Path(__file__).parents[2] / "deploy/systemd"
UNITS = sorted(FOLDER.glob("*.service"))
PROGRAM = "/usr/local/bin/aditus"
MOST_EXPOSED = 20
"""Of 100 that `systemd-analyze security` gives to what is not protected at all."""

pytestmark = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def values(unit: Path, name: str) -> list[str]:
    """What the unit says for this name, in comments that show it too."""
    lines = [line.removeprefix("#").strip() for line in unit.read_text().splitlines()]
    return [line.removeprefix(f"{name}=") for line in lines if line.startswith(f"{name}=")]


def service(unit: Path) -> configparser.SectionProxy:
    """Its section; of what is said several times, the last."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names in large and small letters
    parser.read_string(unit.read_text())
    return parser["Service"]


def installed(unit: Path, folder: Path) -> Path:
    """The unit, with an `aditus` that is there: that of this Python."""
    here = str(Path(sys.executable).with_name("aditus"))
    copy = folder / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, here))
    return copy


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_it(unit: Path, tmp_path: Path) -> None:
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(installed(unit, tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_it_well_protected(unit: Path, tmp_path: Path) -> None:
    looked_at = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={MOST_EXPOSED}",
         str(installed(unit, tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert looked_at.returncode == 0, looked_at.stdout + looked_at.stderr


def test_aditus_understands_what_it_is_started_with(unit: Path) -> None:
    lines = [line for line in values(unit, "ExecStart") if line]
    assert lines
    for line in lines:
        program, name, *words = shlex.split(line.replace("%d", "/run/credentials/a"))
        assert program == PROGRAM
        command = root.get_command(click.Context(root), name)
        assert command
        command.make_context(name, words)


def test_each_secret_that_it_is_given_is_handed_over_by_systemd(unit: Path) -> None:
    used = {name for line in values(unit, "ExecStart") for name in re.findall(r"%d/([\w-]+)", line)}
    used |= {name for line in unit.read_text().splitlines() for name in re.findall(r"%d/([\w-]+)", line)}
    handed_over = {line.partition(":")[0] for line in values(unit, "LoadCredential")}
    assert used == handed_over


def test_what_cannot_get_better_by_itself_is_not_started_again(unit: Path) -> None:
    final = {exits.USAGE, exits.REFUSED, exits.NOT_FOUND}
    assert {int(code) for code in service(unit)["RestartPreventExitStatus"].split()} == final
    assert service(unit)["Restart"] == "on-failure"


def test_it_has_the_time_that_it_takes_to_stop(unit: Path) -> None:
    assert float(service(unit)["TimeoutStopSec"]) > DRAIN_SECONDS


def test_it_says_itself_when_it_is_ready_and_leaves_no_secret_behind(unit: Path) -> None:
    assert (service(unit)["Type"], service(unit)["NotifyAccess"]) == ("notify", "main")
    assert service(unit)["LimitCORE"] == "0"
    # The one secret that a program prints, the first password of the server, is not for the journal.
    assert (service(unit).get("StandardOutput") == "null") is ("serve" in service(unit)["ExecStart"])
