"""The table of metrics, the alerts, the runbook and the dashboard say the same as the code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml

from console.cli import holdfast
from tests.exposed_metrics import concern_metrics, delivery_metrics, monitoring_metrics, worker_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import click

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "observability"
ALERTS = FOLDER / "alerts.yaml"
DOCS = ROOT / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text(encoding="utf-8")
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))
ROW = re.compile(r"^\| `(holdfast_\w+)` \| ([\w, ]*?) ?\|", re.MULTILINE)
OTHERS = {
    # what other programs expose
    "kube_job_status_failed": ("namespace", "job_name"),
    "process_cpu_seconds_total": ("job", "instance"),
    "process_resident_memory_bytes": ("job", "instance"),
}
FROM_THE_SCRAPE = {"job", "instance", "namespace", "le"}
PARTS = ("Means", "Users see", "Look at", "Do")
promtool = shutil.which("promtool")


@cache
def exposed() -> Mapping[str, tuple[str, ...]]:
    """Return the labels of every metric."""
    return {**worker_metrics(), **delivery_metrics(), **monitoring_metrics(), **concern_metrics()}


@cache
def rules() -> Mapping[str, dict[str, Any]]:
    """Return the alerts by name."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that an expression reads, and the labels that it selects by."""
    tree = promql_parser.parse(expression.replace("$__rate_interval", "5m"))
    found = [node for node in walk(tree) if isinstance(node, promql_parser.VectorSelector)]
    for each in found:
        yield each.name or "", {matcher.name for matcher in each.matchers.matchers}


def walk(node: Any) -> Iterator[Any]:
    """Yield the nodes of an expression."""
    yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "vs", "param"):
        child = getattr(node, name, None)
        if child is not None and not isinstance(child, str | float):
            yield from walk(child)
    for child in getattr(node, "args", ()) or ():
        yield from walk(child)


def kept_labels(expression: str) -> set[str]:
    """Return the labels that an expression groups or matches by."""
    lists = re.findall(r"\b(?:by|on) \(([^)]*)\)", expression)
    return {label.strip() for each in lists for label in each.split(",")}


def check_expression(expression: str) -> None:
    """Check that an expression parses and reads metrics and labels that exist."""
    found = list(selectors(expression))
    assert found, expression
    assert {name for name, _ in found} == set(re.findall(r"(?:holdfast|kube|process)_\w+", expression)), expression
    known = {**exposed(), **OTHERS}
    read = {label for name, _ in found for label in known.get(name, ())}
    assert kept_labels(expression) <= read | FROM_THE_SCRAPE, expression
    for name, labels in found:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        assert name in known or base in known, name
        assert labels <= {*known.get(name, known.get(base, ())), *FROM_THE_SCRAPE}, f"{name}: {labels}"


@pytest.mark.parametrize(
    ("page", "section", "read"),
    [
        ("operations.md", "## Metrics", worker_metrics),
        ("delivery.md", "## Operations", delivery_metrics),
        ("models.md", "## Monitor", monitoring_metrics),
        ("voice-of-the-customer.md", "### Metrics", concern_metrics),
    ],
)
def test_the_table_of_metrics_is_that_of_the_code(
    page: str, section: str, read: Callable[[], Mapping[str, tuple[str, ...]]]
) -> None:
    text = (DOCS / page).read_text(encoding="utf-8").partition(section)[2].partition("\n## ")[0]
    rows = {name: set(labels.replace(" ", "").split(",")) - {""} for name, labels in ROW.findall(text)}
    assert rows == {name: set(labels) for name, labels in read().items()}


@pytest.mark.parametrize("name", rules())
def test_an_alert_reads_metrics_that_exist(name: str) -> None:
    check_expression(rules()[name]["expr"])


@pytest.mark.parametrize("name", rules())
def test_an_alert_says_what_to_do(name: str) -> None:
    rule = rules()[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook_url"].endswith(f"/runbook.md#{name.lower()}")
    aggregated = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    known = {label for metric, _ in selectors(rule["expr"]) for label in {**exposed(), **OTHERS}.get(metric, ())}
    assert aggregated <= known


def test_the_runbook_has_one_entry_for_each_alert_in_their_order() -> None:
    assert re.findall(r"^## (Holdfast\w+)$", RUNBOOK, re.MULTILINE) == list(rules())


@pytest.mark.parametrize("name", rules())
def test_an_entry_says_what_it_means_what_is_seen_where_to_look_and_what_to_do(name: str) -> None:
    entry = RUNBOOK.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\* \*\*([\w ]+)\.\*\*", entry, re.MULTILINE)) == PARTS
    assert f"`{rules()[name]['labels']['severity']}`" in entry


def test_every_command_of_the_runbook_exists() -> None:
    commands = set(re.findall(r"(?:`|-- )holdfast ((?:[a-z][a-z-]+ ?)+)", RUNBOOK))
    assert commands
    for words in commands:
        find_command(words.split())


def find_command(words: list[str]) -> click.Command:
    command: Any = holdfast
    for word in words:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, words
        command = command.commands[word]
    return command  # type: ignore[no-any-return]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_panel_reads_metrics_that_exist(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        check_expression(target["expr"])
        assert target["datasource"]["uid"] == "${datasource}"


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    read = {name for each in [*shown, *(rule["expr"] for rule in rules().values())] for name, _ in selectors(each)}
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in read}
    assert exposed().keys() - read - bases == {"holdfast_model_judged"}


def test_the_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        area = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not area & taken, panel["title"]
        taken |= area


@pytest.mark.skipif(promtool is None, reason="promtool, of Debian's package prometheus, is not installed")
def test_the_alerts_fire_when_they_should() -> None:
    """By Prometheus' own tool, on series that are made up: deploy/observability/alerts_test.yaml."""
    for arguments in (["check", "rules", ALERTS.name], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([str(promtool), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
