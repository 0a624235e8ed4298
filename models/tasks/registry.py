"""Every task that is served, by name. A new task is added here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.tasks.churn import Churn
from models.tasks.ltv import LifetimeValue
from models.tasks.nbo import NextBestOffer
from models.tasks.next_purchase import NextPurchase
from models.tasks.sentiment import Sentiment
from models.tasks.uplift import Uplift

if TYPE_CHECKING:
    from models.tasks.protocol import ModelTask

TASKS: dict[str, ModelTask] = {
    task.name: task for task in (Churn(), NextBestOffer(), LifetimeValue(), NextPurchase(), Uplift(), Sentiment())
}


def moves_customers(name: str) -> bool:
    """Return whether a model adds facts that rules of segments may read; offers are scored for contacts only."""
    return name in TASKS and bool(TASKS[name].facts)


def can_be_tried(name: str) -> bool:
    """Return whether experiments may try versions of a model: not of an optional one, whose scores have no arms."""
    return name in TASKS and not TASKS[name].is_optional
