"""Versions of models for tests: copies of the shipped ones under other names."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.reasons_file import REASONS_FILE
from models.tflite import TFLiteScorer
from models.versions import MANIFEST_FILE, MODEL_FILE, REPORT_FILE, add_version, promote, read_current, staging_folder
from tests.builders import AS_OF
from training.reasons import describe_reasons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.versions import ModelVersion

SHIPPED = Path(__file__).parents[1] / "examples" / "online_retail" / "models"


def add_copy(
    home: Path, version: str, content: bytes | None = None, *, report: str | None = None, **manifest: Any
) -> ModelVersion:
    """Add a copy of the version that serves, without its gates, with what is given of model, report and manifest."""
    current = read_current(home)
    assert current is not None
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        if content is not None:
            (staging / MODEL_FILE).write_bytes(content)
            manifest["files"] = {MODEL_FILE: hashlib.sha256(content).hexdigest()}
        if report is not None:
            (staging / REPORT_FILE).write_text(report)
        (staging / MANIFEST_FILE).write_text(
            json.dumps({**current.manifest, "version": version, "gates": [], **manifest})
        )
        return add_version(home, staging, at=AS_OF, by="ann")


def churn_of_text(*known: str) -> TFLiteScorer:
    """Return the shipped churn model as if it had learned a column of text in place of its feature `items`."""
    current = read_current(SHIPPED / "churn")
    assert current is not None
    manifest = current.manifest | {"categories": {"items": list(known)}}
    columns = tuple(FEATURE_MAPPING[name] for name in manifest["features"])
    return TFLiteScorer((current.folder / MODEL_FILE).read_bytes(), manifest, columns)


def promote_copy(home: Path, version: str, content: bytes | None = None, **manifest: Any) -> ModelVersion:
    """Add a copy and let it serve."""
    added = add_copy(home, version, content, **manifest)
    promote(home, version, at=AS_OF, by="ann")
    return added


def promote_explained(home: Path, version: str) -> ModelVersion:
    """Add a copy of the version that serves with a background of drawn customers, and let it serve."""
    current = read_current(home)
    assert current is not None
    scorer = TFLiteScorer.load(current.folder, current.manifest["columns"])
    inputs = draw_customers(2_000)

    def score(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return scorer.score(FeatureTable(("",) * len(rows), dict(zip(scorer.columns, rows.T, strict=True))))

    scores = score(inputs)[:, : 1 if home.name == "ltv" else None]
    converted = np.random.default_rng(2).random(scores.shape) < scores
    stored = describe_reasons(
        current.manifest["features"],
        inputs,
        scores if home.name == "ltv" else converted.astype(np.float32),
        scores,
        {"days_since_last": 0.2, "revenue": 0.1},
        score,
        "additive",
    )
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        (staging / REASONS_FILE).write_bytes(msgspec.json.encode(stored))
        manifest = {**_without_reasons(current.manifest), "version": version, "gates": []}
        (staging / MANIFEST_FILE).write_text(json.dumps(manifest))
        added = add_version(home, staging, at=AS_OF, by="ann")
    promote(home, version, at=AS_OF, by="ann")
    return added


def promote_unexplained(home: Path, version: str) -> ModelVersion:
    """Add a copy of the version that serves without its background, as trained before there was one; let it serve."""
    current = read_current(home)
    assert current is not None
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        (staging / REASONS_FILE).unlink()
        manifest = {**_without_reasons(current.manifest), "version": version, "gates": []}
        (staging / MANIFEST_FILE).write_text(json.dumps(manifest))
        added = add_version(home, staging, at=AS_OF, by="ann")
    promote(home, version, at=AS_OF, by="ann")
    return added


def _without_reasons(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {**manifest, "files": {name: sha for name, sha in manifest["files"].items() if name != REASONS_FILE}}


def draw_customers(rows: int) -> NDArray[np.float32]:
    """Return the shipped models' features of customers, shape [rows, 8]: those of FEATURE_MAPPING, in its order."""
    draw = np.random.default_rng(1)
    orders, days = draw.geometric(0.35, rows), draw.exponential(40, rows).round()
    revenue = (orders * draw.gamma(2, 120, rows)).round(2)
    recent = np.minimum(orders, draw.poisson(2, rows))
    columns = [
        revenue,
        orders,
        days,
        revenue / orders,
        revenue,
        recent,
        draw.poisson(revenue / 4),
        draw.poisson(0.3, rows),
    ]
    return np.asarray(np.stack(columns, axis=1), dtype=np.float32)
