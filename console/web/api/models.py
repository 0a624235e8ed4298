"""Models: their versions and gates, promotions, rollbacks and experiments."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator

from console.experiment_views import status_object
from console.model_views import compare_rows, format_gates, format_metric, preview_object
from console.use_cases.model_experiments import begin, end, find_history, find_status
from console.use_cases.model_versions import find_home, find_version
from console.use_cases.models_status import find_models
from console.use_cases.promotions import PromotionRequest, preview_promotion, promote_model, roll_back_model
from console.web.authentication import Operator, Reader
from console.web.context import Context
from console.web.inputs import GivenReason
from models.gate_names import current_gate_name
from models.versions import current_version, list_versions, read_history

if TYPE_CHECKING:
    from console.use_cases.promotions import Promoted
    from models.versions import ModelVersion

router = APIRouter(prefix="/models", tags=["models"])
Mode = Literal["silent", "new", "emit"]
_MODEL_PATTERN, _VERSION_PATTERN = "^[a-z_]+$", "^[A-Za-z0-9][A-Za-z0-9._-]*$"
ModelName = Annotated[str, Path(pattern=_MODEL_PATTERN, max_length=60, examples=["churn"])]
VersionName = Annotated[str, Path(pattern=_VERSION_PATTERN, max_length=120, examples=["churn-20110217-b7182bb9"])]
AVersion = Annotated[str, Field(pattern=_VERSION_PATTERN, max_length=120, examples=["churn-20110217-b7182bb9"])]


class ModelInForce(BaseModel):
    """What decides a task."""

    model: str = Field(examples=["churn"])
    version: str = Field(description="`rules` where no version serves.")
    added_at: str | None
    promoted_at: str | None
    verdict: str | None = Field(description="What monitoring found last.", examples=["fine", "retrain"])
    largest_drift: float | None = Field(description="The largest PSI of a column.")
    problem: str


class Version(BaseModel):
    """A version of a model."""

    version: str
    serves: bool
    added_at: str
    added_by: str
    figure: str = Field(examples=["auc 0.727 [0.688, 0.766]"])
    gates: str = Field(examples=["9 passed"])


class Gate(BaseModel):
    """A gate, and whether it let the version pass; none where it could not be judged."""

    name: str
    passed: bool | None
    sentence: str


class VersionDetail(Version):
    """A version with its gates, and all that its manifest says."""

    verdicts: list[Gate]
    manifest: dict[str, Any]


class Promotion(BaseModel):
    """A line of a model's history."""

    action: str
    at: str
    by: str
    before: str | None
    after: str
    why: str
    forced: bool
    mode: str
    changeover: str


class ModelVersions(BaseModel):
    """A model's versions in the order in which they were added, and its promotions, the oldest first."""

    model: str
    versions: list[Version]
    history: list[Promotion]


class Difference(BaseModel):
    """A figure, gate or feature of two versions."""

    what: str
    one: str
    other: str
    difference: str


class PreviewRequest(BaseModel):
    """Which version."""

    version: AVersion


class RollbackRequest(BaseModel):
    """To which version, and why."""

    to: AVersion | None = Field(None, description="One that served before; else the one before the present one.")
    why: GivenReason
    mode: Mode | None = Field(None, description="What first evaluations under it may fire; `new` without it.")
    accepted: bool = Field(False, description="Although it moves more customers than HOLDFAST_PROMOTION_SHARE.")


class PromoteRequest(BaseModel):
    """Which version is to serve, and why."""

    version: AVersion
    why: GivenReason
    mode: Mode | None = Field(None, description="What first evaluations under it may fire.")
    accepted: bool = Field(False, description="Although it moves more customers than HOLDFAST_PROMOTION_SHARE.")
    forced: bool = Field(False, description="Although a gate refused it.")


class ChangeResult(BaseModel):
    """What a promotion or rollback did."""

    line: Promotion | None = Field(description="None where the version serves already.")
    preview: dict[str, Any] | None = Field(description="Whom it moves; none where that was not measured.")


class ExperimentRequest(BaseModel):
    """A challenger: as a shadow, or for a share of the customers."""

    version: AVersion
    share: float | None = Field(None, gt=0, lt=1)
    shadow: bool = False
    why: GivenReason
    forced: bool = Field(False, description="Although a gate refused it.")

    @model_validator(mode="after")
    def check_kind(self) -> Self:
        """Reject what says neither, or both."""
        if (self.share is None) != self.shadow:
            raise ValueError("say either share, or shadow")
        return self


class StopRequest(BaseModel):
    """Why it ends."""

    why: GivenReason


class Experiments(BaseModel):
    """The latest experiment on a model and what it has shown, and all of them."""

    latest: dict[str, Any] | None
    history: list[dict[str, Any]]


@router.get("")
def list_models(context: Context, _: Reader) -> list[ModelInForce]:
    """Return what decides each task."""
    return [
        ModelInForce(
            model=each.task,
            version=each.version,
            added_at=each.added_at,
            promoted_at=each.promoted_at,
            verdict=each.monitored.verdict if each.monitored else None,
            largest_drift=each.monitored.largest_drift if each.monitored else None,
            problem=each.problem,
        )
        for each in find_models(context.settings)
    ]


@router.get("/{model}")
def read_model(model: ModelName, context: Context, _: Reader) -> ModelVersions:
    """Return a model's versions and its history."""
    home = find_home(context.settings, model)
    current = current_version(home)
    return ModelVersions(
        model=model,
        versions=[Version(**_describe(each, current)) for each in list_versions(home)],
        history=[Promotion(**asdict(each)) for each in read_history(home)],
    )


@router.get("/{model}/versions/{version}")
def read_version(model: ModelName, version: VersionName, context: Context, _: Reader) -> VersionDetail:
    """Return a version with its gates and its manifest."""
    home = find_home(context.settings, model)
    found = find_version(home, version)
    verdicts = [
        Gate(
            name=current_gate_name(str(each["name"])),
            passed=each.get("passed"),
            sentence=str(each.get("sentence", "")),
        )
        for each in found.manifest.get("gates") or ()
    ]
    return VersionDetail(**_describe(found, current_version(home)), verdicts=verdicts, manifest=dict(found.manifest))


@router.get("/{model}/comparison")
def compare_versions(
    model: ModelName, one: AVersion, context: Context, _: Reader, other: AVersion | None = None
) -> list[Difference]:
    """Return two versions side by side; the other is the one that serves unless it is named."""
    home = find_home(context.settings, model)
    rows = compare_rows(find_version(home, one).manifest, find_version(home, other).manifest)
    return [
        Difference(what=what, one=left, other=right, difference=difference) for what, left, right, difference in rows
    ]


@router.post("/{model}/preview")
def preview_version(model: ModelName, wanted: PreviewRequest, context: Context, _: Operator) -> dict[str, Any]:
    """Return how many of today's customers a promotion would move; nothing is promoted."""
    home = find_home(context.settings, model)
    return preview_object(preview_promotion(context.settings, home, wanted.version))


@router.post("/{model}/promotion")
def promote_version(model: ModelName, wanted: PromoteRequest, context: Context, principal: Operator) -> ChangeResult:
    """Let a version serve. Workers load it within seconds."""
    home = find_home(context.settings, model)
    request = PromotionRequest(principal.name, wanted.why, wanted.mode, accepted=wanted.accepted, forced=wanted.forced)
    done = promote_model(context.settings, home, wanted.version, request)
    context.accounts.record(principal.name, "promote model", f"{model} {wanted.version}", detail={"why": wanted.why})
    return _describe_change(done)


@router.post("/{model}/rollback")
def roll_back(model: ModelName, wanted: RollbackRequest, context: Context, principal: Operator) -> ChangeResult:
    """Let a version serve again that served before."""
    home = find_home(context.settings, model)
    request = PromotionRequest(principal.name, wanted.why, wanted.mode, accepted=wanted.accepted)
    done = roll_back_model(context.settings, home, wanted.to, request)
    after = done.line.after if done.line else wanted.to
    context.accounts.record(principal.name, "roll back model", f"{model} {after}", detail={"why": wanted.why})
    return _describe_change(done)


@router.get("/{model}/experiment")
def read_experiment(model: ModelName, context: Context, _: Reader) -> Experiments:
    """Return the latest experiment on a model and what it has shown, and earlier ones."""
    find_home(context.settings, model)
    found = find_status(context.settings, model)
    history = find_history(context.settings, model)
    return Experiments(
        latest=None if found is None else status_object(found), history=[asdict(each) for each in history]
    )


@router.post("/{model}/experiment")
def start_experiment(
    model: ModelName, wanted: ExperimentRequest, context: Context, principal: Operator
) -> dict[str, Any]:
    """Start an experiment. Workers take it up within seconds."""
    find_home(context.settings, model)
    share = wanted.share or 0.0
    started = begin(
        context.settings, model, wanted.version, share=share, by=principal.name, why=wanted.why, forced=wanted.forced
    )
    context.accounts.record(principal.name, "start experiment", started.key, detail={"why": wanted.why})
    return asdict(started)


@router.post("/{model}/experiment/stop")
def stop_experiment(
    model: ModelName, wanted: StopRequest, context: Context, principal: Operator
) -> dict[str, Any] | None:
    """End the experiment on a model; null where none runs."""
    find_home(context.settings, model)
    ended = end(context.settings, model, by=principal.name, why=wanted.why)
    if ended is None:
        return None
    context.accounts.record(principal.name, "stop experiment", ended.key, detail={"why": wanted.why})
    return asdict(ended)


def _describe(version: ModelVersion, current: str | None) -> dict[str, Any]:
    added = version.manifest.get("added", {})
    return {
        "version": version.version,
        "serves": version.version == current,
        "added_at": str(added.get("at", "")),
        "added_by": str(added.get("by", "")),
        "figure": format_metric(version.manifest),
        "gates": format_gates(version.manifest),
    }


def _describe_change(done: Promoted) -> ChangeResult:
    return ChangeResult(
        line=None if done.line is None else Promotion(**asdict(done.line)),
        preview=None if done.preview is None else preview_object(done.preview),
    )
