"""Versions of models as tables and as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from models.changeovers import RESTORED
from models.gate_names import current_gate_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from console.model_preview import Preview
    from models.versions import ModelVersion, Promotion
    from training.monitoring.cohorts import Cohort
    from training.monitoring.monitor import MonitorResult

Row = tuple[str, ...]
LIST_HEADINGS = ("model", "version", "serves", "added", "by", "figure", "gates")
COHORT_HEADINGS = ("cohort", "rows", "predicted", "observed", "error", "AUC", "Brier", "false pos.", "false neg.")
MAIN_FIGURES = ("qini", "brier_skill", "auc", "r2_winsorised", "r2", "accuracy")
DRIFT_SHOWN = 12


def list_rows(versions: Iterable[ModelVersion], current: str | None) -> list[Row]:
    """Return a row for each version of one model."""
    return [
        (
            str(each.manifest.get("name", "")),
            each.version,
            "yes" if each.version == current else "",
            str(each.manifest.get("added", {}).get("at", ""))[:16].replace("T", " "),
            str(each.manifest.get("added", {}).get("by", "")),
            format_metric(each.manifest),
            format_gates(each.manifest),
        )
        for each in versions
    ]


def as_object(version: ModelVersion, current: str | None) -> dict[str, Any]:
    """Return a version as JSON has it."""
    return {"version": version.version, "serves": version.version == current, "manifest": dict(version.manifest)}


def format_metric(manifest: Mapping[str, Any]) -> str:
    """Return the figure that a model is known by, with its interval."""
    measured = manifest.get("metrics", {}).get("model", {})
    for name in MAIN_FIGURES:
        if measured.get(name) is not None:
            low, high = (measured.get(f"{name}_95") or (None, None))[:2]
            interval = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
            return f"{name.split('_')[0]} {measured[name]:.3f}{interval}"
    return ""


def format_gates(manifest: Mapping[str, Any]) -> str:
    """Return how many gates a version passed, or those that refused it."""
    gates = manifest.get("gates") or ()
    closed = [current_gate_name(gate["name"]) for gate in gates if gate.get("passed") is False]
    passed = sum(gate.get("passed") is True for gate in gates)
    return f"refused: {', '.join(closed)}" if closed else f"{passed} passed" if gates else "not judged"


def format_promotion(line: Promotion) -> str:
    """Return a line of the history in words."""
    forced = ", forced against its gates" if line.forced else ""
    mode = f", mode {line.mode}" if line.mode else ""
    because = f": {line.why}" if line.why else ""
    changed = f"{line.action} {line.before or 'nothing'} -> {line.after}"
    return f"{line.at[:19]}  {changed} by {line.by}{mode}{forced}{because}"


def format_promoted(line: Promotion, preview: Preview | None) -> list[str]:
    """Return what a promotion or rollback has done, whom it moves, and what that may fire."""
    lines = [format_promotion(line)]
    if preview is not None:
        lines.append(f"  {_format_moved(preview)}")
    if line.changeover or line.mode == RESTORED or preview is not None:
        lines.append(f"  {_describe_mode(line)}")
    if line.changeover:
        lines.append("  to evaluate every customer now, when the workers have loaded it: holdfast segments reevaluate")
    return lines


def _describe_mode(line: Promotion) -> str:
    if line.mode == RESTORED:
        return f"each customer continues from the last evaluation under {line.after}; nothing fires by itself"
    fires = {
        "silent": "nothing fires",
        "new": f"only what {line.before or 'the rule'} would have fired, too",
        "emit": "everything fires that changes",
    }
    return f"at a customer's first evaluation under {line.after} {fires[line.mode]}"


def _format_moved(preview: Preview) -> str:
    return f"{preview.moved:,} of {preview.customers:,} customers ({preview.share:.1%}) move across a band or a segment"


def compare_rows(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Row]:
    """Return figures, gates and features of two manifests side by side; equal features are left out."""
    left, right = _figures(one), _figures(other)
    rows: list[Row] = [
        (name, _cell(left.get(name)), _cell(right.get(name)), _difference(left.get(name), right.get(name)))
        for name in dict.fromkeys((*left, *right))
    ]
    gates = [_gate_verdicts(each) for each in (one, other)]
    rows += [
        (f"gate {name}", gates[0].get(name, ""), gates[1].get(name, ""), "")
        for name in dict.fromkeys((*gates[0], *gates[1]))
    ]
    features = [each.get("features", ()) for each in (one, other)]
    return rows + [
        (f"feature {name}", "yes" if name in features[0] else "", "yes" if name in features[1] else "", "")
        for name in dict.fromkeys((*features[0], *features[1]))
        if (name in features[0]) != (name in features[1])
    ]


def _gate_verdicts(manifest: Mapping[str, Any]) -> dict[str, str]:
    gates = manifest.get("gates") or ()
    return {current_gate_name(str(gate["name"])): str(gate.get("verdict", "")) for gate in gates}


def _figures(manifest: Mapping[str, Any]) -> dict[str, float | str]:
    training, metrics = manifest.get("training", {}), manifest.get("metrics", {})
    days = training.get("dates") or [""]
    described: dict[str, float | str] = {
        "rows trained on": training.get("rows", ""),
        "trained up to": max(days),
        "rows evaluated on": training.get("evaluation", {}).get("rows", ""),
        "evaluated from": min(training.get("evaluation", {}).get("dates") or [""]),
    }
    measured = metrics.get("model", {})
    return described | {name: value for name, value in measured.items() if isinstance(value, (int, float))}


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _difference(one: float | str | None, other: float | str | None) -> str:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return f"{other - one:+,}" if isinstance(one, int) and isinstance(other, int) else f"{other - one:+.4f}"
    return ""


def cohort_rows(cohorts: Iterable[Cohort]) -> list[Row]:
    """Return a row for each cohort."""
    return [
        (
            *(each.name, f"{each.rows:,}", f"{each.predicted:.4g}", f"{each.observed:.4g}"),
            *(_rate(figure) for figure in (each.calibration_error, each.auc, each.brier)),
            *(_rate(figure) for figure in (each.false_positive_rate, each.false_negative_rate)),
        )
        for each in cohorts
    ]


def _rate(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.3f}"


def drift_rows(monitored: MonitorResult) -> list[Row]:
    """Return the features and scores that moved most."""
    return [(name, f"{value:.3f}") for name, value in list(monitored.drift.items())[:DRIFT_SHOWN]]


def monitor_object(monitored: MonitorResult) -> dict[str, Any]:
    """Return a look at a model as JSON has it."""
    return asdict(monitored) | {"since": monitored.since.isoformat()}


def format_preview(preview: Preview, allowed: float) -> list[str]:
    """Return in words how many customers a swap would move, and whether that is more than the share allowed."""
    lines = [f"of {preview.customers:,} customers, {preview.before} against {preview.after}:"]
    for fact, moves in preview.moves.items():
        described = ", ".join(f"{count:,} {old} -> {new}" for (old, new), count in Counter(moves).most_common())
        lines.append(f"  {fact}: {sum(moves.values()):,} change{f' ({described})' if described else ''}")
    for segment, (entering, leaving) in preview.segments.items():
        lines.append(f"  segment {segment}: {entering:,} would enter, {leaving:,} would leave")
    more = preview.share > allowed
    needed = f"more than {allowed:.1%}: promote it with --yes" if more else f"not more than {allowed:.1%}"
    lines.append(f"  {_format_moved(preview)}, {needed}")
    return [*lines, "conversations are left out; nothing was promoted"]


def preview_object(preview: Preview) -> dict[str, Any]:
    """Return a preview as JSON has it."""
    return {
        "customers": preview.customers,
        "moved": preview.moved,
        "share": preview.share,
        "before": preview.before,
        "after": preview.after,
        "moves": {
            fact: [{"from": old, "to": new, "customers": count} for (old, new), count in moves.items()]
            for fact, moves in preview.moves.items()
        },
        "segments": {
            key: {"entering": entering, "leaving": leaving} for key, (entering, leaving) in preview.segments.items()
        },
    }


def history_object(history: Sequence[Promotion]) -> list[dict[str, Any]]:
    """Return the history as JSON has it."""
    return [asdict(line) for line in history]
