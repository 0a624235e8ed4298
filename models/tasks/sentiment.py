"""Sentiment: whether a message is negative, neutral or positive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from features.table import FeatureTable

CLASSES = 3


class Sentiment(ModelTask):
    """The task `sentiment`: three probabilities of each message.

    It scores messages, not customers: VADER stands in for a missing model, see models/sentiment.py.
    """

    name = "sentiment"
    fact = "sentiment_score"
    for_contacts_only = True
    is_optional = True
    reads_messages = True

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return three: negative, neutral, positive."""
        _ = offers
        return (CLASSES,)

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Return unknown: no rule scores customers here."""
        _ = offers
        return np.full((len(table), CLASSES), np.nan, dtype=np.float32)
