"""Versions of models for tests: copies of the shipped ones under other names."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.inputs import FEATURE_MAPPING
from models.tflite import TFLiteScorer
from models.versions import MANIFEST_FILE, MODEL_FILE, add_version, promote, read_current, staging_folder
from tests.builders import AS_OF

if TYPE_CHECKING:
    from models.versions import ModelVersion

SHIPPED = Path(__file__).parents[1] / "examples" / "online_retail" / "models"


def add_copy(home: Path, version: str, content: bytes | None = None, **manifest: Any) -> ModelVersion:
    """Add a copy of the version that serves, without its gates, and with what is given of model and manifest."""
    current = read_current(home)
    assert current is not None
    with staging_folder(home) as staging:
        shutil.copytree(current.folder, staging)
        if content is not None:
            (staging / MODEL_FILE).write_bytes(content)
            manifest["files"] = {MODEL_FILE: hashlib.sha256(content).hexdigest()}
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
