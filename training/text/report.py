"""The report of a text model as one HTML file: verdict, measures, gates, confusion, what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models.text_model import CLASSES
from models.versions import REPORT_FILE
from training.report.html import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TEMPLATE = "text_report.html"
_NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1"}


def write_report(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Write report.html into a folder and return its path.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / REPORT_FILE
    path.write_text(render_report(manifest), encoding="utf-8", newline="\n")
    return path


def render_report(manifest: Mapping[str, Any]) -> str:
    """Return the report's HTML: the same bytes for the same manifest."""
    metrics, training = manifest["metrics"], manifest["training"]
    refused = any(gate["passed"] is False for gate in manifest["gates"])
    return TEMPLATES.get_template(TEMPLATE).render(
        version=manifest["version"],
        method=manifest["method"],
        refused=refused,
        forced=bool(manifest.get("promotion")),
        measures=[_measure_row(key, metrics) for key in _NAMES],
        others=[name.replace("_", " ") for name in metrics["baselines"]],
        ece=metrics["model"]["ece"],
        ms=metrics["model"]["ms_per_message"],
        gates=manifest["gates"],
        classes=CLASSES,
        confusion=list(zip(CLASSES, metrics["confusion"], strict=True)),
        training=training,
        languages=", ".join(manifest["text"]["languages"]),
        limits=manifest["limits"],
    )


def _measure_row(key: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = metrics["model"][f"{key}_95"]
    model = f"{metrics['model'][key]:.3f} [{low:.3f}, {high:.3f}]"
    return _NAMES[key], model, *(f"{other[key]:.3f}" for other in metrics["baselines"].values())
