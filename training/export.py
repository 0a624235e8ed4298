"""From a trained net to a folder that serving can load: model.tflite and manifest.json, verified."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.actor import name_actor
from models.errors import VersionError
from models.versions import MANIFEST_FILE, MODEL_FILE, add_version, promote, staging_folder
from training.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

SAMPLES = 5000
TOLERANCE = 1e-5


def export(
    content: bytes,
    manifest: Mapping[str, Any],
    inputs: NDArray[np.float32],
    expected: NDArray[np.float32],
    into: Path,
) -> dict[str, Any]:
    """Verify a converted model, add it to its versions and promote it; return the finished manifest.

    Args:
        content: the model in TFLite's format.
        manifest: all but version, files, libraries and verification; `version` holds its first part.
        inputs: rows to verify on, shape [rows, features].
        expected: what the Keras model gives for them.
        into: the model's folder, laid out as models/versions.py says.

    Raises:
        ExportError: the folder cannot be written, or the exported model differs from the trained one.
    """
    digest = hashlib.sha256(content).hexdigest()
    finished = {
        **manifest,
        "version": f"{manifest['version']}-{digest[:8]}",
        "files": {MODEL_FILE: digest},
        "libraries": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("tensorflow", "keras", "numpy", "scikit-learn")},
        },
    }
    now, actor = datetime.now(UTC), name_actor()
    try:
        with staging_folder(into) as folder:
            folder.mkdir()
            (folder / MODEL_FILE).write_bytes(content)
            _write_manifest(folder, finished)
            finished["verification"] = _verify(folder, inputs[:SAMPLES], expected[:SAMPLES])
            _write_manifest(folder, finished)
            added = add_version(into, folder, at=now, by=actor)
        promote(into, added.version, at=now, by=actor)
    except (OSError, VersionError) as error:
        raise ExportError(f"{into}: cannot be written ({error}); choose another --out") from error
    return dict(added.manifest)


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _verify(folder: Path, inputs: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, Any]:
    """Score through the serving code, in a process of its own: TensorFlow and tflite-runtime crash in one."""
    samples = folder.parent / "samples.npz"
    np.savez(samples, inputs=inputs, expected=expected)
    command = [sys.executable, "-m", "training.verification", str(folder), str(samples)]
    # Fixed arguments and our own interpreter.
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)  # noqa: S603
    if done.returncode:
        raise ExportError(f"the exported model does not load or run: {done.stderr.strip()[-500:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if not found["finite_on_odd_rows"] or found["max_difference"] > TOLERANCE:
        raise ExportError(f"the exported model differs from the trained one: {found}; nothing was replaced")
    return found
