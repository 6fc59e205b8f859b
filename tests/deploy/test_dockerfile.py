"""The Dockerfile keeps its promises, as far as its text can tell; tests/process/test_image.py runs its steps.

No test builds it: that takes a Docker engine.
"""

import json
import re
import shlex

import click
import pytest

from aditus.cli.main import root
from tests.deploy.image import FILE, ROOT, last, lineage, stages, words

TARGETS = ("agent", "server", "sidecar")
OWN_WORDS = {
    "agent": ["-s", "db:5432", "wss://relay.example.com"],
    "server": [],
    "sidecar": ["--app", "shop"],
}
"""What somebody has to add to what each image runs."""


def understood(command_line: list[str]) -> None:
    """Our own command line understands it."""
    name, *rest = command_line
    command = root.get_command(click.Context(root), name)
    assert command
    command.make_context(name, rest)


def test_each_image_is_of_a_version_of_its_base() -> None:
    known = stages()
    assert [*known][-1] == "agent"  # what is built without a target
    bases = {stage.base for stage in known.values() if stage.base not in known}
    (base,) = bases
    assert re.fullmatch(r"python:3\.11-slim-\w+", base), "the Python that the tests run on"


def test_no_tool_to_build_is_left_over() -> None:
    for target in TARGETS:
        assert all("pip" not in run and "apt" not in run for one in lineage(target) for run in one.all("RUN"))
        (copied,) = (one for stage in lineage(target) for one in stage.all("COPY"))
        packages = "agent" if target == "sidecar" else target  # the same: the base install
        assert copied == f"--from={packages}-packages /opt/aditus /opt/aditus"


@pytest.mark.parametrize("target", TARGETS)
def test_nobody_in_it_is_root(target: str) -> None:
    *_, stage = lineage(target)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last(target, "USER")), "as a number: it has no name anywhere"
    after = [name for name, _ in stage.lines][[name for name, _ in stage.lines].index("USER") :]
    assert not {"RUN", "COPY"} & set(after)


@pytest.mark.parametrize("target", TARGETS)
def test_signals_reach_aditus_itself(target: str) -> None:
    assert words(target, "ENTRYPOINT") == ["aditus"]  # by exec, not by a shell
    assert last(target, "STOPSIGNAL") == "SIGTERM"


@pytest.mark.parametrize("target", TARGETS)
def test_what_it_runs_and_asks_itself_is_understood(target: str) -> None:
    command = words(target, "CMD")
    understood([*command, *OWN_WORDS[target]])
    program, *check = json.loads(last(target, "HEALTHCHECK").partition("CMD ")[2])
    assert program == "aditus"
    understood(check)


@pytest.mark.parametrize(("target", "port"), [("agent", 3127), ("sidecar", 3128)])
def test_the_health_page_is_for_those_outside(target: str, port: int) -> None:
    environment = dict(
        pair.split("=") for one in lineage(target) for pair in " ".join(one.all("ENV")).split()
    )
    assert environment["ADITUS_HEALTH_LISTEN"] == f"0.0.0.0:{port}"
    assert f":{port}/healthz" in last(target, "HEALTHCHECK")


def test_what_is_copied_is_there_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    sources = [
        source
        for stage in stages().values()
        for argument in stage.all("COPY")
        if not argument.startswith("--from=")
        for source in shlex.split(argument)[:-1]
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(sources)


def test_it_fetches_nothing_but_pinned_packages() -> None:
    text = FILE.read_text()
    assert not re.search(r"^ADD|curl|wget|apt-get", text, re.MULTILINE)
    installs = [
        run for stage in stages().values() for run in stage.all("RUN") if "install " in run and "pip" in run
    ]
    assert len(installs) == 3
    assert all("-c constraints.txt" in run and "--no-cache-dir" in run for run in installs)


def test_no_secret_is_baked_in() -> None:
    assert not re.search(r"ADITUS_(ACCESS_KEY|TOKEN|DATABASE_URL)|password", FILE.read_text())
