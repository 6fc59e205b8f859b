"""The dashboard shows every metric, asks for none that there is not, and is what Grafana can import."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aditus.telemetry.server_metrics import ServerMetrics

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "deploy" / "grafana" / "aditus.json").read_text()
)
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in GRAPHS for target in panel["targets"]]
COLUMNS = 24
OF_PROMETHEUS = {"instance"}
"""Labels that a scrape adds."""
NAMES = re.compile(r"\b(?:aditus|process)_\w+")
LABELS = re.compile(r'by \(([^)]*)\)|(\w+)=~?"')


def samples() -> dict[str, set[str]]:
    """The labels of every sample that a scrape can read, by its name."""
    metrics = ServerMetrics()
    metrics.refused("bad-proof")
    metrics.request(200, 0.1)
    metrics.key_changed("active")
    metrics.transaction("read", 0.1)
    metrics.access_keys.labels("local", "default").set(1)
    metrics.access_keys_limit.labels("local", "default").set(500)
    metrics.keys_expiring.labels("7").set(0)
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


SAMPLES = samples()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_question_is_about_metrics_and_labels_that_there_are(expression: str) -> None:
    names = NAMES.findall(expression)
    assert names
    assert set(names) <= set(SAMPLES)
    used = {label for group, one in LABELS.findall(expression) for label in (one or group).split(", ")}
    assert used <= OF_PROMETHEUS.union(*(SAMPLES[name] for name in names))
    assert expression.count("(") == expression.count(")")
    assert expression.count("{") == expression.count("}")


def test_every_metric_of_ours_is_shown() -> None:
    shown = set(NAMES.findall(" ".join(EXPRESSIONS)))
    families = re.findall(r"^# TYPE (aditus_\w+) ", ServerMetrics().render().decode(), re.MULTILINE)
    for name in families:
        if not name.endswith("_created"):
            assert shown & {name, f"{name}_bucket"}, f"no panel shows {name}"


def test_a_counter_is_shown_as_a_rate_and_a_histogram_as_a_quantile_or_a_rate() -> None:
    for expression in EXPRESSIONS:
        for name in NAMES.findall(expression):
            if name.endswith(("_total", "_bucket", "_count")):
                assert re.search(rf"\b(rate|increase)\({name}\b", expression), expression
            if name.endswith("_bucket"):
                assert re.match(r"histogram_quantile\(0\.\d+, sum by \(le\b", expression), expression


def test_legends_name_labels_that_the_answer_has() -> None:
    for panel in GRAPHS:
        for target in panel["targets"]:
            wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            kept = re.search(r"by \(([^)]*)\)", target["expr"])
            assert wanted <= (set(kept[1].split(", ")) if kept else OF_PROMETHEUS), target["expr"]


def test_grafana_can_import_it_with_any_data_source() -> None:
    assert DASHBOARD["id"] is None  # Grafana gives it one
    assert DASHBOARD["uid"] == "aditus"
    assert DASHBOARD["title"] == "Aditus"
    assert DASHBOARD["schemaVersion"] >= 36  # the first in which a data source is an object
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert NAMES.findall(variables["instance"]["definition"]) == ["aditus_tunnels"]
    sources = [panel["datasource"] for panel in GRAPHS]
    sources += [target["datasource"] for panel in GRAPHS for target in panel["targets"]]
    sources.append(variables["instance"]["datasource"])
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    used = set(re.findall(r"\$(\w+)", json.dumps(DASHBOARD))) - {"__rate_interval", "__all"}
    assert used <= set(variables)


def test_every_panel_has_what_it_needs() -> None:
    assert {panel["type"] for panel in PANELS} <= {"row", "stat", "timeseries"}
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    for panel in GRAPHS:
        assert panel["title"]
        assert panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)


def test_panels_stand_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert cells
        assert not cells & taken, panel["title"]
        taken |= cells
