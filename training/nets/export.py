"""Writes trained nets and their manifest to a folder that serving can load."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from models.versions import MANIFEST_FILE, MODEL_FILE
from training.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn")


def write_version(folder: Path, models: Mapping[str, bytes], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write models and their manifest to a folder; return the manifest.

    Args:
        folder: does not exist yet.
        models: content by file name, in TFLite's format, model.tflite among them.
        manifest: all but files and libraries; `version` holds its first part, to which a hash is added.

    Raises:
        ExportError: the folder cannot be written.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in models.items()}
    whole = hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()
    mark = digests[MODEL_FILE] if len(models) == 1 else whole
    libraries = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    finished = {
        **manifest,
        "version": f"{manifest['version']}-{mark[:8]}",
        "files": digests,
        "libraries": libraries,
    }
    try:
        folder.mkdir(parents=True)
        for name, content in models.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        raise ExportError(f"{folder}: cannot be written ({error}); choose another --out") from error
    write_manifest(folder, finished)
    return finished


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write or replace the manifest of a folder that is no version yet."""
    (folder / MANIFEST_FILE).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
