"""The report of a training run: one HTML file for the person who decides whether to trust the model.

It needs no network, contains no script, and is the same bytes for the same input.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from models.versions import REPORT_FILE
from training.report.sections import Section, Table, compare_scorers, drivers, estimate, observe, stability
from training.report.summary import name_of, summarise
from training.report.tiles import build_tiles

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training.evaluation.curves import Estimate
    from training.evaluation.evaluation_data import EvaluationData
    from training.report.summary import RunStatus
    from training.task import Task

TONES: dict[RunStatus, str] = {"promoted": "good", "refused": "bad", "forced": "bad", "undecided": "open"}


def _mark_code(text: str) -> Markup:
    """Return text, escaped, with what stands between backticks marked as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped above


TEMPLATES = Environment(
    loader=PackageLoader("training.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["code"] = _mark_code


@dataclass(frozen=True, slots=True)
class GateRow:
    """A gate as the table shows it."""

    name: str
    verdict: str
    tone: str
    figure: str
    threshold: str
    against: str
    sentence: str


def write_report(folder: Path, manifest: Mapping[str, Any], evidence: EvaluationData) -> Path:
    """Write report.html into a folder and return its path.

    Args:
        folder: exists.
        manifest: the run's; keys that are missing are passed over.
        evidence: what the run knows of itself.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / REPORT_FILE
    path.write_text(render_report(manifest, evidence), encoding="utf-8", newline="\n")
    return path


def render_report(manifest: Mapping[str, Any], evidence: EvaluationData) -> str:
    """Return the report's HTML."""
    whole, evidence = evidence, evidence.summarise()
    estimates = estimate(evidence)
    training = manifest.get("training") or {}
    summary = summarise(manifest, evidence, estimates)
    sections = build_sections(manifest, whole, estimates)
    return TEMPLATES.get_template(REPORT_FILE).render(
        title=f"{evidence.task.title}: can this model be trusted?",
        version=str(manifest.get("version") or "without version"),
        method=str(manifest.get("method") or ""),
        tone=TONES[summary.verdict],
        summary=summary,
        tiles=build_tiles(evidence, estimates),
        contents=("summary", "gates", "data", *(each.key for each in sections), "provenance"),
        gates=[_gate_row(gate) for gate in manifest.get("gates") or ()],
        data=_data(training, evidence),
        split=str(training.get("split") or ""),
        sections=sections,
        limits=[str(limit) for limit in manifest.get("limits") or ()],
        provenance=_provenance(manifest),
    )


def build_sections(
    manifest: Mapping[str, Any], evidence: EvaluationData, estimates: Mapping[str, Estimate]
) -> tuple[Section, ...]:
    """Return the sections of a task's report, in the order of a reader's questions.

    Args:
        manifest: the run's; keys that are missing are passed over.
        evidence: what the run knows of itself.
        estimates: from `training.report.sections.estimate`.
    """
    whole, evidence = evidence, evidence.summarise()
    cases = observe(evidence)
    own = evidence.task.build_sections(manifest, whole, cases)
    comparison = compare_scorers(evidence.task, cases, estimates)
    return (comparison, *own, *groups(manifest), drivers(evidence), stability(evidence))


def groups(manifest: Mapping[str, Any]) -> tuple[Section, ...]:
    """Show which groups of customers have a model of their own, where the run tried that."""
    routes = manifest.get("routes") or {}
    rows = []
    for value, each in (routes.get("groups") or {}).items():
        served, pooled = (each.get(which) or {} for which in ("served", "pooled"))
        quality = [_figure(next(iter(found.values()), None)) for found in (served, pooled)]
        own = "its own" if each.get("own_model") else "the pooled one"
        rows.append((str(value), _figure(each.get("rows")), own, *quality, str(each.get("because") or "")))
    if not rows:
        return ()
    head = ("group", "rows trained on", "model", "as served", "pooled model", "reason")
    table = Table(f"AUC, or rank correlation of spend, on the later rows by {routes.get('column')}.", head, tuple(rows))
    return (Section("groups", "Do groups of customers need their own model?", tables=(table,)),)


def _gate_row(gate: Mapping[str, Any]) -> GateRow:
    passed = gate.get("passed")
    tone = "good" if passed else "bad" if passed is False else "open"
    return GateRow(
        str(gate.get("name") or "without name").replace("_", " "),
        str(gate.get("verdict") or {"good": "passed", "bad": "refused", "open": "not applicable"}[tone]),
        tone,
        _figure(gate.get("figure")),
        _figure(gate.get("threshold")),
        _words(str(gate.get("against") or "")),
        str(gate.get("sentence") or ""),
    )


def _words(against: str) -> str:
    """Return what a gate compares with, for display: some are names of scorers, some are words."""
    return against if " " in against else name_of(against)


def _figure(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list | tuple):
        return " to ".join(_figure(each) for each in value)
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4f}" if abs(value) < 1 else f"{value:.3g}"


def _data(training: Mapping[str, Any], evidence: EvaluationData) -> Table:
    evaluated = training.get("evaluation") or {}
    days = [str(day) for day in np.unique(evidence.dates[~np.isnat(evidence.dates)])]
    rows = (
        ("rows", _figure(training.get("rows", len(evidence.training_inputs))), f"{len(evidence.outcome):,}"),
        ("customers", _figure(training.get("customers")) or "not recorded", f"{len(set(evidence.customer_ids)):,}"),
        ("dates", _dates(training.get("dates")), _dates(days or evaluated.get("dates"))),
        _base_rates(training, evidence),
        ("mean score", _mean(evidence, evidence.training_scores), _mean(evidence, evidence.scores)),
        ("missing values", _missing(evidence.training_inputs), _missing(evidence.later_inputs)),
    )
    return Table(
        "Rows of training and evaluation.",
        ("", "training", "evaluation"),
        rows,
    )


def _base_rates(training: Mapping[str, Any], evidence: EvaluationData) -> tuple[str, str, str]:
    trained = training.get("rate")
    outcome = observe(evidence).outcome
    return (
        evidence.task.words.rate,
        "not recorded" if trained is None else _amount(evidence.task, float(trained)),
        _amount(evidence.task, float(outcome.mean())) if len(outcome) else "none observed",
    )


def _amount(task: Task, value: float) -> str:
    return f"{value:,.0f}" if task.predicts_amount else f"{value:.1%}"


def _mean(evidence: EvaluationData, scores: Any) -> str:
    return _amount(evidence.task, float(np.mean(scores))) if len(scores) else "none"


def _missing(inputs: Any) -> str:
    return f"{np.isnan(inputs).mean():.1%}" if inputs.size else "none"


def _dates(days: Any) -> str:
    if not days:
        return "without dates"
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} dates)"


def _provenance(manifest: Mapping[str, Any]) -> Table:
    training, files = manifest.get("training") or {}, manifest.get("files") or {}
    libraries = ", ".join(f"{name} {version}" for name, version in (manifest.get("libraries") or {}).items())
    rows = {
        "model": manifest.get("name"),
        "version": manifest.get("version"),
        "parent": manifest.get("parent") or "none",
        "method": manifest.get("method"),
        "features": ", ".join(map(str, manifest.get("features") or ())),
        "seed": training.get("seed"),
        "SHA-256 of the data": training.get("data_sha256"),
        **{f"SHA-256 of {name}": digest for name, digest in files.items()},
        "libraries": libraries,
    }
    return Table(
        "", ("", "of this run"), tuple((name, str(value)) for name, value in rows.items() if value not in (None, ""))
    )
