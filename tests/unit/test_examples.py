"""What stands in examples/ works as it is: an alert on a series that does not exist never fires."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from event_samples import every_type
from prometheus_client.parser import text_string_to_metric_families

from pmon.monitor.people import Person
from pmon.outputs.metrics import Metrics

PROMETHEUS = Path(__file__).parents[2] / "examples" / "prometheus"


def series() -> dict[str, set[str]]:
    """The labels of every series that there can be."""
    metrics = Metrics()
    metrics.set_rooms(1, [Person("sip", quality="poor", issues={"connection_poor"})])
    metrics.set_load("main", 0.5)
    metrics.set_listening(heard=1, resting=1, overdue=1)
    metrics.set_unwatched(1)
    metrics.set_dropped("webhook", 1)
    metrics.job("failed")
    for event in every_type():
        metrics.event(event)
    page, _ = metrics.render()
    return {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def alerts() -> Iterator[tuple[str, str]]:
    rules = yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def panels() -> Iterator[tuple[str, str]]:
    for panel in json.loads((PROMETHEUS / "grafana.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("name", "expression"), [*alerts(), *panels()])
def test_only_what_exists_is_asked_for(name: str, expression: str) -> None:
    there = series()
    used = set(re.findall(r"\bpmon_\w+", expression))
    assert used <= set(there), f"{name} asks for what there is not"
    assert used or expression.startswith("up")
    labels = set(re.findall(r"(\w+)=~?\"", expression))
    labels |= {x for by in re.findall(r"by \(([\w, ]+)\)", expression) for x in by.split(", ")}
    known: set[str] = {"job", "instance"}.union(*(there[name] for name in used))
    assert labels <= known, f"{name} asks for a label that there is not"


def test_the_first_alert_is_of_those_whom_nobody_watches() -> None:
    assert next(alerts())[0] == "PmonParticipantsUnwatched"


def test_all_series_are_on_the_dashboard() -> None:
    shown = {name for _, e in panels() for name in re.findall(r"\bpmon_\w+", e)}
    assert shown == {name for name in series() if not name.endswith("_created")}


def test_panels_do_not_lie_over_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((PROMETHEUS / "grafana.json").read_text())["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
