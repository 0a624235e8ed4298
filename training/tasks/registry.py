"""Every task that can be trained, by name. A new task is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.tasks.churn import Churn
from training.tasks.ltv import LifetimeValue
from training.tasks.nbo import NextBestOffer
from training.tasks.uplift import Uplift

if TYPE_CHECKING:
    from training.task import Task

TASKS: dict[str, Task] = {task.name: task for task in (Churn(), LifetimeValue(), NextBestOffer(), Uplift())}
