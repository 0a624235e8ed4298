"""Models and their versions, found by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import NoVersionError
from models.versions import current_version, list_models, read_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.versions import ModelVersion
    from streams.settings import Settings


def find_models_dir(settings: Settings) -> Path:
    """Return the folder of models.

    Raises:
        NoVersionError: the settings name none.
    """
    if settings.models_dir is None:
        raise NoVersionError("HOLDFAST_MODELS_DIR is not set; name the folder that holds the models")
    return settings.models_dir


def find_homes(settings: Settings) -> Sequence[Path]:
    """Return the folder of each model that has versions.

    Raises:
        NoVersionError: the settings name no folder of models.
    """
    folder = find_models_dir(settings)
    return [folder / each for each in list_models(folder)]


def find_home(settings: Settings, name: str) -> Path:
    """Return the folder of a model.

    Raises:
        NoVersionError: there is no such model.
    """
    folder = find_models_dir(settings)
    there = list_models(folder)
    if name not in there:
        raise NoVersionError(f"{folder}: no model {name!r}; there are: {', '.join(there) or 'none'}")
    return folder / name


def find_version(home: Path, version: str | None) -> ModelVersion:
    """Return a version of a model; the one that serves where none is named.

    Raises:
        NoVersionError: there is no such version, or none serves.
        VersionError: its manifest cannot be used.
    """
    wanted = version or current_version(home)
    if wanted is None:
        raise NoVersionError(f"{home}: no version serves; promote one, or name one")
    return read_version(home, wanted)
