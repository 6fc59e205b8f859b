"""What we install is what we declare: every third-party package has a home and an exact version."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def normal(requirement: str) -> str:
    """`Psycopg_Binary[x]>=3 ; …` → `psycopg-binary`."""
    name = re.match(r"[\w.-]+", requirement)
    assert name
    return name[0].lower().replace("_", "-")


def test_every_third_party_package_has_its_one_home() -> None:
    graph = grimp.build_graph("aditus", include_external_packages=True, cache_dir=None)
    imported = {module for module in graph.modules if graph.is_module_squashed(module)}
    (homes,) = (
        contract
        for contract in PYPROJECT["tool"]["importlinter"]["contracts"]
        if contract["name"] == "Each third-party package has one home"
    )
    assert imported - sys.stdlib_module_names <= set(homes["forbidden_modules"]), (
        "give it a home in pyproject.toml"
    )
    targets = [line.split(" -> ")[1] for line in homes["ignore_imports"]]
    assert sorted(targets) == sorted(homes["forbidden_modules"]), "one home for each, and no more"


def test_constraints_pin_all_that_is_declared_and_name_no_address() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+", line)] == []
    pinned = {line.split("==")[0] for line in lines}
    project = PYPROJECT["project"]
    declared = [project["dependencies"], *project["optional-dependencies"].values()]
    declared.append(PYPROJECT["build-system"]["requires"])
    wanted = {normal(requirement) for group in declared for requirement in group}
    assert wanted - pinned == {"aditus"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys; import aditus; print(*{'asyncio', 'ssl', 'socket', 'rich', 'click'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
