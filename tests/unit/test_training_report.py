"""The report of a training run: whole, safe, the same each time, and right about what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from zipfile import ZipFile

import numpy as np
import pytest

from tests.evidence import evidence as run
from tests.synthetic_runs import evidence, gate, manifest
from training.evaluation.gates import evaluate_gates
from training.evaluation.metrics import evaluate
from training.report.html import render_report, write_report

SHARED = ("summary", "gates", "data", "comparison", "drivers", "stability", "provenance")
SECTIONS = {
    "churn": ("ranking", "calibration", "threshold"),
    "ltv": ("amounts", "coverage", "captured"),
    "nbo": ("policy", "offers", "ranking", "calibration"),
}
FIGURES = {
    "churn": ("roc", "precision-recall", "reliability", "gain", "lift", "histogram", "threshold-cost"),
    "ltv": ("deciles", "coverage-deciles", "predicted-actual", "lorenz", "residuals"),
    "nbo": ("policy-values", "offer-calibration", "recommended", "reliability"),
}
SHARED_FIGURES = ("comparison-forest", "importance-bars", "shape-0", "folds")
VOID = {"meta", "link", "br", "img", "hr", "input"}
QUICK = {"shapes": {}, "importance": {}, "folds": {}}
"""What drivers and stability draw, left out where a test is about something else."""


class Page(HTMLParser):
    """What a page holds, and whether each element is closed by its own end tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.wrong: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that closes itself."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Note an end tag that does not close the element opened last."""
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, name: str) -> list[str]:
        """Return the values of an attribute."""
        return [value for _, attributes in self.elements if (value := attributes.get(name)) is not None]

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of a name."""
        return [attributes for each, attributes in self.elements if each == tag]


@cache
def measured(task: str) -> dict[str, Any]:
    return evaluate(evidence(task))


@cache
def rendered(task: str) -> str:
    known, metrics = evidence(task), measured(task)
    return render_report(
        manifest(task, metrics=metrics, gates=[asdict(each) for each in evaluate_gates(known, metrics)]), known
    )


tasks = pytest.mark.parametrize("task", SECTIONS)


@tasks
def test_every_section_and_figure_is_there_and_linked(task: str) -> None:
    ids = Page(rendered(task)).all("id")
    assert {*SHARED, *SECTIONS[task], *SHARED_FIGURES, *FIGURES[task]} <= set(ids)
    links = set(re.findall(r'<a href="#([^"]+)"', rendered(task)))
    assert {*SHARED, *SECTIONS[task]} <= links <= set(ids)


@tasks
def test_the_page_refers_to_nothing_outside_itself_and_runs_nothing(task: str) -> None:
    page = Page(rendered(task))
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert all(link.startswith("#") for name in ("href", "src", "xlink:href") for link in page.all(name))
    assert not re.search(r"(?i)https?:|//[a-z]|@import|url\((?!#)|\son[a-z]+=", rendered(task))
    policy = [each["content"] for each in page.named("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


@tasks
def test_the_page_is_well_formed_and_its_ids_are_its_own(task: str) -> None:
    page = Page(rendered(task))
    assert (page.wrong, page.open) == ([], [])
    ids = page.all("id")
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([^")]+)', rendered(task))
    assert used
    assert set(used) <= set(ids)


@tasks
def test_each_figure_is_labelled_and_says_how_to_read_it(task: str) -> None:
    html = rendered(task)
    figures = re.findall(r"<figure.*?</figure>", html, flags=re.DOTALL)
    assert len(figures) > len(FIGURES[task])
    for figure in figures:
        drawing = ET.fromstring(re.search(r"<svg.*</svg>", figure, flags=re.DOTALL)[0])  # noqa: S314 - our own
        assert drawing.get("role") == "img"
        assert drawing.get("aria-label")
        assert "<figcaption>" in figure
    assert all(re.search(r'class="says">[^<]{20,}', each) for each in figures if 'class="how"' in each)


@tasks
def test_every_table_has_headers_for_its_columns_and_rows(task: str) -> None:
    tables = re.findall(r"<table.*?</table>", rendered(task), flags=re.DOTALL)
    assert len(tables) > len(SHARED) // 2
    for table in tables:
        assert '<th scope="col">' in table
        assert table.count("<tr>") - 1 == table.count('<th scope="row">')


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (render_report(manifest("nbo"), evidence("nbo", 60)) for _ in range(2))
    assert first == second


def test_the_figures_told_are_those_of_the_metrics() -> None:
    model = measured("churn")["model"]
    low, high = model["auc_95"]
    html = rendered("churn")
    assert f"<td>{model['auc']:.3f}\n({low:.3f} to {high:.3f})</td>" in html
    assert f"<td>{model['brier']:.4f}</td><td>{model['ece']:.3f}</td>" in html


def test_the_confusion_counts_are_those_of_the_threshold() -> None:
    counts = measured("churn")["threshold"]["confusion"]
    cells = f"<td>{counts['true_positives']:,}</td><td>{counts['false_positives']:,}</td>"
    assert f'<th scope="row">flagged</th>{cells}' in rendered("churn")


def test_text_from_outside_is_escaped_wherever_it_comes_from() -> None:
    evils = {place: f'<script>{place}</script> & "quoted"' for place in ("version", "split", "gate", "limit", "name")}
    told = manifest(
        "churn",
        version=evils["version"],
        training={"split": evils["split"], "warnings": [evils["limit"]]},
        gates=[gate(evils["gate"], sentence=evils["gate"], against=evils["gate"], passed=False)],
        limits=[evils["limit"]],
    )
    known = evidence("churn", 40)
    changes = {"importance": {evils["name"]: 0.2}, "folds": {evils["name"]: 0.7}}
    html = render_report(told, evidence("churn", 40, shapes={}, baselines={evils["name"]: known.scores}, **changes))
    page = Page(html)
    assert (page.wrong, page.open, page.named("script")) == ([], [], [])
    assert all(f"&lt;script&gt;{place}&lt;/script&gt; &amp; " in html for place in evils)


def test_an_empty_manifest_gives_a_report_that_says_what_is_missing() -> None:
    html = render_report({}, evidence("churn", 60, **QUICK))
    assert "without version" in html
    assert "No gate was run on this model." in html
    assert "The run chose no threshold." in html


@pytest.mark.parametrize(("task", "rows"), [("churn", 1), ("churn", 3), ("ltv", 2), ("nbo", 1)])
def test_tiny_data_still_makes_a_report(task: str, rows: int) -> None:
    html = render_report(manifest(task), evidence(task, rows, **QUICK))
    assert f"Only {rows} later rows" in html
    assert Page(html).wrong == []


@pytest.mark.parametrize("outcome", [1.0, -1.0])
@pytest.mark.parametrize("task", ["churn", "nbo"])
def test_later_rows_of_one_outcome_or_none_are_told_and_not_drawn(task: str, outcome: float) -> None:
    known = evidence(task, 60, **QUICK)
    observed = np.where(known.outcome >= 0, np.float32(outcome), known.outcome)
    html = render_report(manifest(task), evidence(task, 60, **QUICK, outcome=observed))
    expected = "No outcome was observed" if outcome < 0 else "have the same outcome (1)"
    assert expected in html
    assert 'id="roc"' not in html


def test_nobody_who_spent_anything_is_told_and_not_drawn() -> None:
    html = render_report(manifest("ltv"), evidence("ltv", 60, **QUICK, outcome=np.zeros((60, 1), np.float32)))
    assert "No customer spent anything" in html


def test_offers_without_propensities_are_not_given_a_worth() -> None:
    html = render_report(manifest("nbo"), evidence("nbo", 60, **QUICK, propensities=np.full(60, np.nan)))
    assert "Log the probability with which each offer is shown." in html
    assert 'id="policy-values"' not in html
    assert '<span class="name">Its offers</span>' not in html


def test_too_few_effective_rows_give_no_figure_on_top_but_say_so() -> None:
    html = render_report(manifest("nbo"), evidence("nbo", 200, **QUICK))
    assert "not enough evidence" in html
    assert '<span class="name">Its offers</span>' not in html


def test_a_first_model_is_compared_without_a_champion_and_without_baselines() -> None:
    html = render_report(manifest("churn", parent=None), evidence("churn", 200, **QUICK, baselines={}))
    assert "champion" not in re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL)
    assert "No comparison: no baseline could be scored" in html


def test_importance_that_is_not_known_is_left_out_and_counted() -> None:
    known = evidence(
        "churn", 60, shapes={}, folds={"2011-05-31": float("nan")}, importance={"a": float("nan"), "b": 0.1}
    )
    html = render_report(manifest("churn"), known)
    assert "The importance of 1 features is unknown." in html
    assert "It was not retrained on several cut-offs." in html


def test_shape_curves_of_several_offers_are_drawn_in_one_figure() -> None:
    values = np.linspace(0, 100, 20)
    shapes = {"revenue": (values * 20, np.stack([np.sin(values / 30 + offer) for offer in range(8)], axis=1))}
    html = render_report(manifest("nbo"), evidence("nbo", 60, **QUICK | {"shapes": shapes}))
    assert 'id="shape-0"' in html


def test_rows_without_dates_are_told_as_such() -> None:
    dates = np.full(60, "NaT", dtype="datetime64[D]")
    html = render_report(manifest("churn"), evidence("churn", 60, **QUICK, dates=dates))
    assert "without date" in html


def test_a_control_group_gives_a_qini_curve() -> None:
    known = evidence("churn", 400, **QUICK)
    treated = np.arange(400) % 2 == 0
    html = render_report(manifest("churn"), evidence("churn", 400, **QUICK, treated=treated, uplift=known.scores[:, 0]))
    assert 'id="qini"' in html


def test_groups_with_models_of_their_own_are_listed() -> None:
    tried = {"own_model": True, "because": "loses less", "rows": 900, "served": {"auc": 0.75}, "pooled": {"auc": 0.7}}
    routes = {"column": "country", "groups": {"France <b>": tried}}
    html = render_report(manifest("churn", routes=routes), evidence("churn", 60, **QUICK))
    assert "France &lt;b&gt;" in html
    assert "<td>its own</td><td>0.7500</td><td>0.7000</td>" in html


def test_the_file_is_written_beside_the_model(tmp_path: Path) -> None:
    path = write_report(tmp_path, manifest("churn"), evidence("churn", 60, **QUICK))
    assert path == tmp_path / "report.html"
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_template_is_in_the_wheel(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True)
    with ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert "training/report/templates/report.html" in wheel.namelist()


def test_both_base_rates_are_told_where_the_run_recorded_them() -> None:
    known = evidence("churn", 60, **QUICK)
    html = render_report(manifest("churn", training={"rows": 4905, "customers": 2111, "rate": 0.314}), known)
    assert '<th scope="row">customers</th><td>2,111</td><td>60</td>' in html
    assert f'<th scope="row">churn rate</th><td>31.4%</td><td>{known.outcome.mean():.1%}</td>' in html


def test_waiting_times_are_shown_by_quarter_and_the_rest_speaks_of_the_end_of_the_window() -> None:
    generator = np.random.default_rng(1)
    hazard = generator.beta(1.5, 6.0, (400, 1))
    curves = (1 - hazard) ** np.arange(1, 13)
    waits = generator.geometric(hazard[:, 0])
    status = (waits[:, None] > np.arange(1, 13)).astype(np.float32)
    usual = np.tile(status.mean(axis=0), (400, 1))
    html = render_report(
        manifest("next_purchase"), run("next_purchase", status, curves, baselines={"kaplan_meier": usual})
    )
    assert "Do customers wait as long as it says?" in html
    assert f"{status[:, -1].mean():.1%} bought nothing" in html
    assert html.count("<svg") > 4
