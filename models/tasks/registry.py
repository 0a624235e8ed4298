"""Every task that is served, by name. A new task is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.tasks.churn import Churn
from models.tasks.ltv import LifetimeValue
from models.tasks.nbo import NextBestOffer
from models.tasks.next_purchase import NextPurchase

if TYPE_CHECKING:
    from models.tasks.protocol import ModelTask

TASKS: dict[str, ModelTask] = {task.name: task for task in (Churn(), NextBestOffer(), LifetimeValue(), NextPurchase())}
