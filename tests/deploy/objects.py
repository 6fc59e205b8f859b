"""Kubernetes objects as values: what helm makes of our charts, and what stands in deploy/kubernetes."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "deploy/helm"
EXAMPLE = ROOT / "deploy/kubernetes/app-with-sidecar.yaml"
PAGE = ROOT / "docs/kubernetes.md"
KUBERNETES = "1.31"
"""What helm takes the cluster for; a rendering asks none."""

Object = dict[str, Any]


class Case(NamedTuple):
    """A chart with values for it (YAML)."""

    chart: str
    name: str
    values: str

    def __str__(self) -> str:
        return f"{self.chart}: {self.name}"


def cases() -> Iterator[Case]:
    """Those of tests/deploy/values, and those that docs/kubernetes.md shows."""
    for path in sorted((Path(__file__).parent / "values").glob("*/*.yaml")):
        yield Case(path.parent.name, path.stem, path.read_text())
    shown = re.findall(r"```yaml\n# (\S+): (.*?)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for chart, name, values in shown:
        yield Case(chart, name, values)


def helm(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm with these words; it asks no cluster."""
    return subprocess.run(["helm", *words], input=stdin, capture_output=True, text=True, check=False)


@cache
def template(chart: str, values: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of a release that is called as its chart."""
    return helm(
        "template",
        chart,
        str(CHARTS / chart),
        f"--kube-version={KUBERNETES}",
        "-f",
        "-",
        *words,
        stdin=values,
    )


def rendered(chart: str, values: str, *words: str) -> list[Object]:
    """The objects of a chart that takes these values."""
    answer = template(chart, values, *words)
    assert answer.returncode == 0, answer.stderr
    return parsed(answer.stdout)


def parsed(text: str) -> list[Object]:
    """The objects of a YAML stream."""
    return [one for one in yaml.safe_load_all(text) if one is not None]


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Those of one kind."""
    return [one for one in objects if one["kind"] == kind]


def template_of(objects: list[Object]) -> Object:
    """The pod that they run: the template of the only workload."""
    [pod] = [one["spec"]["template"] for one in objects if "template" in one.get("spec", {})]
    assert isinstance(pod, dict)
    return pod


def containers(pod: Object) -> list[Object]:
    """All containers of a pod's template, sidecars too."""
    spec = pod["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def aditus(pod: Object) -> Object:
    """The container that is ours."""
    [ours] = [one for one in containers(pod) if one["name"] == "aditus"]
    assert isinstance(ours, dict)
    return ours


def options(container: Object, name: str) -> list[str]:
    """What it gives this option (`--name=value`), each time."""
    return [word.partition("=")[2] for word in container["args"] if word.startswith(f"{name}=")]
