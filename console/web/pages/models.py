"""The pages of models: what serves, versions with their gates, promotions, rollbacks and experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Form, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from console.experiment_views import HISTORY_HEADINGS, describe, history_rows
from console.model_views import compare_rows, format_gates, format_metric, format_preview, format_promotion
from console.use_cases.model_experiments import begin, end, find_history, find_status
from console.use_cases.model_versions import find_home, find_homes, find_version
from console.use_cases.models_status import find_models
from console.use_cases.promotions import PromotionRequest, preview_promotion, promote_model, roll_back_model
from console.web.authentication import Operator, Reader
from console.web.context import Context
from console.web.errors import NotFoundError
from console.web.inputs import GivenReason
from console.web.middleware import SANDBOX
from console.web.rendering import render
from models.errors import PromotionRefusedError, VersionError
from models.gate_names import current_gate_name
from models.monitoring_record import read_monitoring
from models.tasks.registry import can_be_tried
from models.versions import CARD_FILE, REPORT_FILE, current_version, list_versions, read_document, read_history

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path as FilePath

    from console.model_preview import Preview
    from models.versions import ModelVersion
    from streams.settings import Settings

router = APIRouter(prefix="/models")
ModelName = Annotated[str, Path(pattern="^[a-z_]+$", max_length=60)]
VersionName = Annotated[str, Path(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=120)]
ChosenMode = Annotated[Literal["", "silent", "new", "emit"], Form()]
Ticked = Annotated[bool, Form()]


@router.get("")
def list_models(request: Request, context: Context, _: Reader) -> Response:
    """Show what decides each task."""
    homes = {home.name for home in find_homes(context.settings)} if context.settings.models_dir else set()
    return render(request, "models.html", {"models": find_models(context.settings), "homes": homes})


@router.get("/{model}")
def show_model(request: Request, model: ModelName, context: Context, _: Reader) -> Response:
    """Show a model's versions, what monitoring found, its experiment and its history."""
    home = find_home(context.settings, model)
    is_tried = can_be_tried(model)
    experiment = find_status(context.settings, model) if is_tried else None
    shown = {
        "model": model,
        "versions": list_versions(home)[::-1],
        "current": current_version(home),
        "monitored": read_monitoring(home),
        "history": [format_promotion(each) for each in read_history(home)[::-1]],
        "experiment": experiment,
        "parts": list(describe(experiment)) if experiment else [],
        "earlier": history_rows(find_history(context.settings, model)[::-1]) if is_tried else [],
        "earlier_headings": HISTORY_HEADINGS,
        "format_metric": format_metric,
        "format_gates": format_gates,
    }
    return render(request, "model.html", shown)


@router.get("/{model}/versions/{version}")
def show_version(request: Request, model: ModelName, version: VersionName, context: Context, _: Reader) -> Response:
    """Show a version: its gates, figures, calibration, and how it differs from the one that serves."""
    home = find_home(context.settings, model)
    found = find_version(home, version)
    current = current_version(home)
    manifest = found.manifest
    compared = compare_rows(manifest, find_version(home, None).manifest) if current not in {None, version} else []
    shown = {
        "model": model,
        "version": found,
        "current": current,
        "gates": [{**each, "name": current_gate_name(str(each["name"]))} for each in manifest.get("gates") or ()],
        "figures": list_figures(manifest),
        "bands": list_bands(manifest),
        "compared": compared,
        "can_be_tried": can_be_tried(model) and current not in {None, version},
        "limits": manifest.get("limits") or (),
        "has_report": REPORT_FILE in manifest["files"],
        "card": _read_card(found),
    }
    return render(request, "model_version.html", shown)


@router.get("/{model}/versions/{version}/report")
def show_report(model: ModelName, version: VersionName, context: Context, _: Reader) -> Response:
    """Show the report of the training that made a version, as it was written then."""
    report = read_document(find_version(find_home(context.settings, model), version), REPORT_FILE)
    if report is None:
        raise NotFoundError(f"{model} {version} has no report: it was added without one")
    return HTMLResponse(report, headers=SANDBOX)


@router.get("/{model}/versions/{version}/promotion")
def preview(request: Request, model: ModelName, version: VersionName, context: Context, _: Operator) -> Response:
    """Show whom a promotion would move, with the form that promotes."""
    home = find_home(context.settings, model)
    found = find_version(home, version)
    preview, unknown = _preview(context.settings, home, version)
    allowed = context.settings.promotion_share
    shown = {
        "model": model,
        "version": found,
        "current": current_version(home),
        "lines": format_preview(preview, allowed) if preview else [],
        "unknown": unknown,
        "is_large": preview is not None and preview.share > allowed,
        "allowed": allowed,
        "closed": [current_gate_name(each) for each in found.closed_gates],
    }
    return render(request, "model_promotion.html", shown)


@router.post("/{model}/versions/{version}/promotion")
def promote(
    model: ModelName,
    version: VersionName,
    context: Context,
    principal: Operator,
    why: Annotated[GivenReason, Form()],
    mode: ChosenMode = "",
    accepted: Ticked = False,
    forced: Ticked = False,
) -> Response:
    """Let a version serve."""
    request = PromotionRequest(principal.name, why, mode or None, accepted=accepted, forced=forced)
    promote_model(context.settings, find_home(context.settings, model), version, request)
    context.accounts.record(principal.name, "promote model", f"{model} {version}", detail={"why": why})
    return RedirectResponse(f"/models/{model}", 303)


@router.post("/{model}/rollback")
def roll_back(model: ModelName, context: Context, principal: Operator, why: Annotated[GivenReason, Form()]) -> Response:
    """Let the version serve again that was promoted before the present one."""
    done = roll_back_model(
        context.settings, find_home(context.settings, model), None, PromotionRequest(principal.name, why)
    )
    after = done.line.after if done.line else ""
    context.accounts.record(principal.name, "roll back model", f"{model} {after}", detail={"why": why})
    return RedirectResponse(f"/models/{model}", 303)


@router.post("/{model}/versions/{version}/experiment")
def start_experiment(
    model: ModelName,
    version: VersionName,
    context: Context,
    principal: Operator,
    why: Annotated[GivenReason, Form()],
    percent: Annotated[float, Form(ge=0, lt=100)] = 0,
) -> Response:
    """Try a version next to the one that serves: as a shadow, or for a share of the customers."""
    started = begin(context.settings, model, version, share=percent / 100, by=principal.name, why=why, forced=False)
    context.accounts.record(principal.name, "start experiment", started.key, detail={"why": why})
    return RedirectResponse(f"/models/{model}#experiment", 303)


@router.post("/{model}/experiment/stop")
def stop_experiment(
    model: ModelName, context: Context, principal: Operator, why: Annotated[GivenReason, Form()]
) -> Response:
    """End the experiment on a model."""
    ended = end(context.settings, model, by=principal.name, why=why)
    if ended is not None:
        context.accounts.record(principal.name, "stop experiment", ended.key, detail={"why": why})
    return RedirectResponse(f"/models/{model}#experiment", 303)


def list_figures(manifest: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the figures of a version's evaluation: name, value and interval."""
    measured = manifest.get("metrics", {}).get("model", {})
    return [
        (name.replace("_", " "), f"{value:,.4g}", _describe_interval(measured.get(f"{name}_95")))
        for name, value in measured.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def list_bands(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return how predictions and outcomes compare by confidence, as shares; empty for what is no probability."""
    validation = manifest.get("confidence", {}).get("validation", {})
    bands = [{"name": name, **band} for name, band in validation.items() if isinstance(band, dict)]
    return [each for each in bands if all(0 <= each.get(side, -1) <= 1 for side in ("predicted", "observed"))]


def _read_card(version: ModelVersion) -> str | None:
    """Return the model card, or why it cannot be read; None where there is none."""
    try:
        return read_document(version, CARD_FILE)
    except VersionError as error:
        return str(error)


def _describe_interval(interval: Any) -> str:
    if not isinstance(interval, list) or len(interval) < 2 or None in interval[:2]:  # noqa: PLR2004 - low and high
        return ""
    return f"{interval[0]:,.4g} to {interval[1]:,.4g}"


def _preview(settings: Settings, home: FilePath, version: str) -> tuple[Preview | None, str]:
    """Return whom a promotion would move, or why that is not known."""
    try:
        return preview_promotion(settings, home, version), ""
    except PromotionRefusedError as error:
        return None, str(error)
