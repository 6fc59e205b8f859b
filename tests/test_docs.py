"""The docs are true where a machine can tell: commands, links, rooms, codes, variables, endpoints."""

import ast
import dataclasses
import importlib
import io
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from aditus import __version__
from aditus.cli import exits
from aditus.cli.main import root
from aditus.config.serve import ServeOptions, serve_config
from aditus.config.surroundings import Surroundings
from aditus.control.api.app import create_app
from aditus.control.service.services import Services
from aditus.telemetry.agent_metrics import AgentFigures, AgentMetrics
from aditus.telemetry.link_metrics import LinkFigures
from aditus.telemetry.server_metrics import ServerMetrics
from aditus.telemetry.sidecar_metrics import SidecarFigures, SidecarMetrics
from aditus.wiring import banner

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "aditus"
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
}
SOURCE = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
ROOMS = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
README, ARCHITECTURE = PAGES["README.md"], PAGES["ARCHITECTURE.md"]
OPERATIONS, GLOSSARY = PAGES["docs/operations.md"], PAGES["docs/glossary.md"]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SEPARATORS = ";&|()<>\n"


def inline(text: str) -> list[str]:
    """What stands in backticks outside of blocks, each on one line."""
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def blocks(text: str, *kinds: str) -> Iterator[str]:
    """The blocks of these kinds."""
    return (body for kind, body in FENCE.findall(text) if kind in kinds)


def typed(text: str) -> Iterator[str]:
    """What readers are meant to type: blocks of `sh`, and the lines after `$` in those of `console`."""
    yield from blocks(text, "sh")
    for body in blocks(text, "console"):
        yield "\n".join(line[2:] for line in body.splitlines() if line.startswith("$ "))


def command_lines(script: str) -> Iterator[list[str]]:
    """The words of each command in a piece of shell, without assignments before it."""
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=SEPARATORS)
    lexer.whitespace, lexer.whitespace_split = " \t\r", True
    words: list[str] = []
    for word in (*lexer, "\n"):
        if not set(word) <= set(SEPARATORS):
            words.append(word)
            continue
        while words and re.match(r"\w+=", words[0]):
            words.pop(0)
        if words:
            yield words
        words = []


def found(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that these words lead to, and the words after it. `UsageError` when there is none."""
    command: click.Command = root
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        child = command.get_command(click.Context(command), name)
        if child is None:
            raise click.UsageError(f"there is no command {name}")
        command = child
    return command, rest


def options(command: click.Command) -> set[str]:
    """All that a command takes, hidden options and those of help too."""
    names = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    return names | {"-h", "--help"}


def every_command(command: click.Command = root) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            assert child
            yield from every_command(child)


def command_paths(command: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of each command that does something itself."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(click.Context(command)):
        child = command.get_command(click.Context(command), name)
        assert child
        yield from command_paths(child, (*path, name))


def row_cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the first table under a heading, without its head."""
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


# --- what people type -------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_to_type_is_one_that_aditus_understands(page: str) -> None:
    for script in typed(PAGES[page]):
        for program, *words in command_lines(script):
            if program == "aditus":
                command, rest = found(words)
                assert not isinstance(command, click.Group), f"aditus {' '.join(words)}: of what?"
                command.make_context("aditus", rest)  # parses, and runs nothing


@pytest.mark.parametrize(
    "words",
    [path for path in command_paths() if path[0] != "admin" or len(path) == 2],  # deeper ones have none yet
    ids=" ".join,
)
def test_every_command_has_an_example_in_its_help_that_aditus_understands(words: tuple[str, ...]) -> None:
    command, _ = found(list(words))
    text = f"{command.help}\n{command.epilog}".replace("\\\n", " ")
    lines = re.findall(r"^ +(aditus .*)", text, re.MULTILINE)
    examples = [re.split(" {4,}", line)[0] for line in lines]  # what follows is told to people
    assert any(example.startswith(" ".join(["aditus", *words])) for example in examples)
    for program, *given in (one for example in examples for one in command_lines(example)):
        if program == "aditus":
            meant, rest = found(given)
            meant.make_context("aditus", rest)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_named_in_a_sentence_exists_with_its_options(page: str) -> None:
    for code in inline(PAGES[page]):
        if code.startswith("aditus "):
            command, rest = found(shlex.split(code)[1:])
            given = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
            assert given <= options(command), code


@pytest.mark.parametrize("page", PAGES)
def test_every_option_named_in_a_sentence_exists(page: str) -> None:
    known = set().union(*map(options, every_command()))
    named = {code.split()[0].partition("=")[0] for code in inline(PAGES[page]) if code.startswith("--")}
    assert named <= known


@pytest.mark.parametrize("name", ["serve", "connect"])
def test_operations_tell_of_every_option_of_the_two_programs(name: str) -> None:
    command, _ = found([name])
    named = {code.split()[0] for code in inline(OPERATIONS) if code.startswith("-")}
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert named & set(option.opts), f"docs/operations.md does not tell of {option.opts}"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for text in PAGES.values():
        scripts = [*typed(text), *inline(text)]
        named = {target for script in scripts for target in re.findall(r"\bmake ([a-z-]+)\b", script)}
        assert named <= targets


def test_the_readme_shows_what_serve_says() -> None:
    config = serve_config(
        ServeOptions(data=Path("/tmp/aditus/tour")), Surroundings({}, Path("/"), io.StringIO())
    )
    said = io.StringIO()
    banner.show(
        config,
        said,
        api_url="http://127.0.0.1:8080",
        relay_url="wss://localhost:8443",
        relay_address=config.relay_listen,
        ca_file="/tmp/aditus/tour/ca.pem",
        first_start=True,
        has_owner_token=True,
    )
    shown = next(body for body in blocks(README, "console") if "aditus serve" in body)
    assert said.getvalue() in shown


def test_the_readme_shows_the_steps_of_the_demo() -> None:
    story = ast.parse((ROOT / "demo" / "story.py").read_text())
    calls = [node for node in ast.walk(story) if isinstance(node, ast.Call)]
    said = [call.args[0] for call in calls if ast.unparse(call.func) == "self._say"]
    titles = {title.value for title in said if isinstance(title, ast.Constant)}
    shown = next(body for body in blocks(README, "console") if "$ make demo" in body)
    steps = re.findall(r"^ ?\d+  (\S.*)$", shown, re.MULTILINE)
    assert set(steps) == titles - {"Play"}


# --- where things are -------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """How headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", PAGES[page])):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        assert target.exists(), f"{page} leads to {link}"
        assert not anchor or anchor in anchors(target.read_text()), f"{page} leads to {link}"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_named_exists(page: str) -> None:
    folders = {**dict.fromkeys(ROOMS, PACKAGE), **dict.fromkeys(("tests", "docs", "demo", "src"), ROOT)}
    for code in inline(PAGES[page]):
        first, slash, _ = code.partition("/")
        if slash and first in folders and re.fullmatch(r"[\w./-]+", code):
            path = folders[first] / code
            assert path.exists() or path.with_suffix(".py").exists(), f"{page} names {code}"


def test_the_map_has_every_room_and_no_other() -> None:
    assert {room.strip("`") for room, *_ in row_cells(ARCHITECTURE, "The rooms")} == ROOMS


def test_the_arrows_of_the_map_are_those_that_lint_checks() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == ["aditus"]]
    arrows = next(code for code in inline(ARCHITECTURE) if code.startswith("cli →"))
    assert arrows.split(" → ") == [re.sub(r" \| \(\w+\)", "", layer) for layer in layers]


def test_every_guarantee_names_the_test_that_shows_it() -> None:
    rows = row_cells(ARCHITECTURE, "What holds, where, and what shows it")
    assert len(rows) > 9
    for guarantee, _, shown in rows:
        assert inline(shown), guarantee
        assert all((ROOT / name).is_file() for name in inline(shown)), guarantee


def test_every_word_of_the_glossary_is_in_the_code() -> None:
    places = re.findall(r"\| `([\w.]+)` \|$", GLOSSARY, re.MULTILINE)
    assert len(places) > 40
    for place in places:
        *modules, name = place.split(".")
        inner: list[str] = [name]
        while not (PACKAGE.joinpath(*modules).with_suffix(".py")).is_file():
            assert modules, f"the glossary names {place}"
            inner.insert(0, modules.pop())
        value: object = importlib.import_module(".".join(["aditus", *modules]))
        for part in inner:
            value = getattr(value, part)


# --- codes and names --------------------------------------------------------------------------


def test_the_exit_codes_are_those_of_the_code() -> None:
    told = {int(code) for code, _ in row_cells(OPERATIONS, "Exit codes")}
    assert told == {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert told >= set(exits.BY_CODE.values())


def test_the_variables_are_those_of_the_code() -> None:
    variable = re.compile(r"\bADITUS_[A-Z_]+\b")
    used = {name for text in SOURCE.values() for name in variable.findall(text)}
    assert {name for text in PAGES.values() for name in variable.findall(text)} <= used
    assert used <= {name for cells in row_cells(OPERATIONS, "Environment") for name in inline(cells[0])}


def test_the_metrics_are_those_of_the_code() -> None:
    link = LinkFigures("relay", 0, True, 1, 0.001, 1.0)
    agent = AgentFigures([link], 0, 0, 0, 0, {1: True}, {(1, "target-refused"): 1}, 1.0)
    sidecar = SidecarFigures([link], 0, 0, 0, 0, (1,), {"no-agent": 1})
    rendered = ServerMetrics().render() + AgentMetrics(lambda: agent).render()
    rendered += SidecarMetrics(lambda: sidecar).render()
    types = re.findall(r"^# TYPE (aditus_\w+) ", rendered.decode(), re.MULTILINE)
    told = {code.partition("{")[0] for code in inline(OPERATIONS) if code.startswith("aditus_")}
    assert told == {name for name in types if not name.endswith("_created")}


def test_the_endpoints_are_those_of_the_api() -> None:
    """`…` stands for the beginning of a path; the pages of metrics and relay are not the API's."""
    services: Any = SimpleNamespace(  # routes are made, and none of them is asked
        **dict.fromkeys(field.name for field in dataclasses.fields(Services))
    )
    paths = create_app(services).openapi()["paths"]
    known = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    for page in ("README.md", "docs/access-keys.md", "docs/operations.md"):
        for method, path in re.findall(r"`(GET|POST|PUT|PATCH|DELETE) ([^`?]+)[^`]*`", PAGES[page]):
            ours = [known_path for known_method, known_path in known if known_method == method]
            if path.startswith("…"):
                assert any(one.endswith(path[1:]) for one in ours), f"{page}: {method} {path}"
            elif path != "/metrics":
                assert path in ours, f"{page}: {method} {path}"


def test_the_changelog_begins_with_this_version() -> None:
    newest = re.search(r"^## (\S+)", PAGES["CHANGELOG.md"], re.MULTILINE)
    assert newest
    assert newest[1] == __version__
    assert __version__ in README
