"""The dashboard for Grafana asks for metrics that there are, by labels that they have."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
METRIC = re.compile(r"\bmesh_[a-z_]+")
ROW = re.compile(r"^\| (`mesh_[^|]*) \| ([^|]*) \|", re.M)
BY = re.compile(r"\bby \(([^)]*)\)")
MATCHED = re.compile(r'(\w+)(?:=~|!~|!=|=)"')
LEGEND = re.compile(r"{{(\w+)}}")


def documented() -> dict[str, set[str]]:
    """The labels of each metric, as the operations page has them; others hold it to be true."""
    text = (ROOT / "docs" / "operations.md").read_text()
    found: dict[str, set[str]] = {}
    for names, labels in ROW.findall(text):
        for name in METRIC.findall(names):
            found[name] = set(re.findall(r"`(\w+)`", labels))
    return found


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "mesh.json").read_text())
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = board()["panels"]
    return found


def by_in(expression: str) -> set[str]:
    """The labels that a query keeps."""
    return {label.strip() for by in BY.findall(expression) for label in by.split(",")}


def test_every_panel_asks_for_metrics_that_there_are() -> None:
    known = documented()
    expressions = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    assert len(expressions) > 20
    for expression in expressions:
        named = {name.removesuffix("_bucket") for name in METRIC.findall(expression)}
        assert named, expression
        labels = by_in(expression) | set(MATCHED.findall(expression))
        for name in named:
            assert name in known, expression
            assert labels <= known[name] | {"le"}, expression


def test_a_legend_names_what_its_query_keeps() -> None:
    for panel in panels():
        for target in panel.get("targets", ()):
            named = set(LEGEND.findall(target["legendFormat"]))
            assert named <= by_in(target["expr"]), target["legendFormat"]


def test_models_are_chosen_from_those_of_a_metric_that_there_is() -> None:
    known, queries = documented(), 0
    for variable in board()["templating"]["list"]:
        if variable["type"] == "query":
            asked = variable["query"]["query"]
            [(name, label)] = re.findall(r"^label_values\((\w+), (\w+)\)$", asked)
            assert label in known[name]
            queries += 1
    assert queries == 1


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
