"""The model card: what a model is, how good it is and what it is for, from its manifest.

The sections follow Mitchell et al. (2019), "Model Cards for Model Reporting". Missing
keys are skipped, so that a card can be written for every version.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.gate_names import current_gate_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from training.task import Task


NOT_FOR_ANY = (
    "Decisions with legal or similar effect on a person: credit, prices, access to a service, employment.",
    "Customers unlike the training rows: other markets, other products, first-time visitors without an order.",
)
MEASURES = {
    "qini": "Qini coefficient of uplift (0 is random, 1 is perfect)",
    "auc": "AUC (.5 is random, 1 is perfect)",
    "average_precision": "average precision",
    "brier": "Brier score (lower is better)",
    "log_loss": "log loss (lower is better)",
    "ece": "calibration error (lower is better)",
    "precision_at_recall_70": "precision at 70 % recall",
    "recall_at_precision_70": "recall at 70 % precision",
    "mae": "mean absolute error (lower is better)",
    "rmse": "root mean squared error (lower is better)",
    "r2": "R squared",
    "r2_winsorised": "R squared, top 1 % capped",
    "coverage": "share within the predicted interval",
}
_INTERVAL = "_95"


def write_model_card(manifest: Mapping[str, Any], task: Task | None) -> str:
    """Return the card of a version as Markdown.

    Args:
        manifest: the version's.
        task: what the model is for; None where it is unknown.
    """
    purpose = task.purpose if task else None
    parts = [
        f"# Model card: {manifest['version']}",
        *_section("What it predicts", [describe_prediction(manifest, task)] if task else []),
        *_section("Data", _bullets(describe_data(manifest))),
        *_section("How good it is", tabulate_metrics(manifest.get("metrics", {}))),
        *_section("Gates", tabulate_gates(manifest.get("gates", ()))),
        *_section("Intended use", _bullets(purpose.use if purpose else ())),
        *_section("Not for", _bullets((*purpose.misuse, *NOT_FOR_ANY) if purpose else NOT_FOR_ANY)),
        *_section("Limits", _bullets(manifest.get("limits", ()))),
        *_section("How it was trained", _bullets(_describe_making(manifest))),
    ]
    return "\n".join(parts) + "\n"


def describe_prediction(manifest: Mapping[str, Any], task: Task) -> str:
    """Return what one score means, by the label and the window that the model was trained on."""
    days = manifest.get("window_days")
    # Amounts are converted to other windows by the default, too; probabilities are not.
    stated = manifest.get("window_stated", True) or task.predicts_amount
    window = f" in the {days} days after scoring" if days and stated else ", as its training rows define it"
    return task.predicts.format(outcome=manifest.get("outcome") or f"{task.label} is true", window=window)


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"## {title}", "", *lines] if lines else []


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"* {line}" for line in lines]


def describe_data(manifest: Mapping[str, Any]) -> list[str]:
    """Return sentences on the training and evaluation rows."""
    training = manifest.get("training", {})
    described = [f"Trained on {_describe_rows(training)}."] if "rows" in training else []
    if "rows" in training.get("evaluation", {}):
        described.append(f"Evaluated on {_describe_rows(training['evaluation'])}, which are not in the training rows.")
    if "split" in training:
        described.append(f"Split: {training['split']}.")
    rate = manifest.get("metrics", {}).get("rate")
    if rate is not None:
        described.append(f"In the rows evaluated on, {rate:.1%} of the outcomes are positive.")
    return described + [f"Warning: {warning}." for warning in training.get("warnings", ())]


def _describe_rows(window: Mapping[str, Any]) -> str:
    days = sorted(window.get("dates", ()))
    if not days:
        return f"{window['rows']:,} rows without dates"
    span = f"of {days[0]}" if len(days) == 1 else f"of {len(days)} days, {days[0]} to {days[-1]}"
    return f"{window['rows']:,} rows {span}"


def tabulate_metrics(metrics: Mapping[str, Any]) -> list[str]:
    """Return a table of measures, the model's with their 95 % intervals next to the baselines'."""
    model = metrics.get("model")
    if not isinstance(model, dict):
        return []
    names = [name for name in model if not name.endswith(_INTERVAL) and isinstance(model[name], (int, float))]
    others = find_baselines(metrics)
    heading = ["measure", "this model [95 %]", *(name.replace("_", " ") for name in others)]
    rows = [
        [MEASURES.get(name, name.replace("_", " ")), _with_interval(model, name)]
        + [_figure(other.get(name)) for other in others.values()]
        for name in names
    ]
    return _table(heading, rows)


def find_baselines(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the measures of what the model is compared with, by name."""
    named = metrics.get("baselines")
    if isinstance(named, dict):
        return named
    return {name: metrics[name] for name in ("rule", "constant_rate") if isinstance(metrics.get(name), dict)}


def tabulate_gates(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of gates with verdict and reason."""
    rows = [[_gate_title(gate), str(gate.get("verdict", "")), str(gate.get("sentence", ""))] for gate in gates]
    return _table(["gate", "verdict", "why"], rows) if rows else []


def _gate_title(gate: Mapping[str, Any]) -> str:
    return current_gate_name(str(gate.get("name", ""))).replace("_", " ")


def _describe_making(manifest: Mapping[str, Any]) -> list[str]:
    training = manifest.get("training", {})
    described = {
        "Method": manifest.get("method"),
        "Features": ", ".join(manifest.get("features", ())),
        "Champion when it was trained": manifest.get("parent"),
        "Seed": training.get("seed"),
        "SHA-256 of the data": training.get("data_sha256"),
        "Libraries": ", ".join(f"{name} {version}" for name, version in manifest.get("libraries", {}).items()),
    }
    return [f"{name}: {value}" for name, value in described.items() if value not in (None, "")]


def _with_interval(model: Mapping[str, Any], name: str) -> str:
    bounds = model.get(name + _INTERVAL)
    interval = f" [{', '.join(map(_figure, bounds))}]" if bounds else ""
    return _figure(model[name]) + interval


def _figure(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heading, ["---"] * len(heading), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
