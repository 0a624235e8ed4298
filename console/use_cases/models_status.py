"""The models in force: versions, ages, and what monitoring found last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import ModelError
from models.monitoring_record import read_monitoring
from models.tasks.registry import TASKS
from models.versions import read_current, read_history

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from models.monitoring_record import MonitoringRecord
    from streams.settings import Settings

RULES = "rules"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What decides one task.

    Attributes:
        task: its name.
        version: the version promoted; `rules` where none is.
        added_at: when it was added, RFC 3339; None for rules.
        promoted_at: when it was promoted or rolled back to, RFC 3339; None for rules.
        monitored: the latest result of monitoring this task; None where there is none.
        problem: why its files cannot be read; empty otherwise.
    """

    task: str
    version: str
    added_at: str | None = None
    promoted_at: str | None = None
    monitored: MonitoringRecord | None = None
    problem: str = ""


def find_models(settings: Settings) -> Sequence[ModelStatus]:
    """Return what decides each task, by the folder of models; an optional task without a model is left out."""
    if settings.mock_mode:
        return [ModelStatus(name, "mock") for name, task in TASKS.items() if not task.is_optional]
    folder = settings.models_dir
    found = [ModelStatus(task, RULES) if folder is None else _find_model(folder / task, task) for task in TASKS]
    return [each for each in found if each.version != RULES or not TASKS[each.task].is_optional]


def _find_model(home: Path, task: str) -> ModelStatus:
    try:
        monitored = read_monitoring(home)
        current = read_current(home)
        if current is None:
            return ModelStatus(task, RULES, monitored=monitored)
        added = current.manifest.get("added", {}).get("at")
        promoted = [each.at for each in read_history(home) if each.after == current.version]
    except ModelError as error:
        return ModelStatus(task, "unreadable", problem=str(error))
    return ModelStatus(task, current.version, added, promoted[-1] if promoted else None, monitored)
