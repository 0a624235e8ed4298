"""Leads: the probability that a lead converts. Not of customers, so the registry does not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.reason_texts import NEAR, agrees, write_share
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.table import FeatureTable
    from models.reason_texts import Direction, Subject


class Leads(ModelTask):
    """The task `leads`."""

    name = "leads"
    fact = "lead_score"
    is_optional = True
    bad_direction = "lowers"

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Return unknown: points are no probability."""
        _ = offers
        return np.full((len(table), 1), np.nan, dtype=np.float32)

    def word_reason(
        self, subject: Subject, direction: Direction, rates: Sequence[float], overall: Sequence[float]
    ) -> str:
        """Return the share of such leads that convert, or the direction alone."""
        _ = subject
        if not rates or not agrees(rates[0] - overall[0], direction, NEAR):
            return f"{direction} the chance of a sale"
        only = "only " if direction == "lowers" and rates[0] >= NEAR else ""
        return f"{only}{write_share(rates[0])} of such leads convert"
