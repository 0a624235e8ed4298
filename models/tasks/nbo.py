"""Next best offer: the probability that a customer converts on each offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.reason_texts import agrees, write_percent
from models.rules import offers_rule
from models.tasks.protocol import ModelTask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from features.table import Column, FeatureTable
    from models.reason_texts import Direction, Subject


class NextBestOffer(ModelTask):
    """The task `nbo`: one score for each offer, offer id i at position i - 1."""

    name = "nbo"
    rule_columns = frozenset({"days_since_last_transaction", "transaction_count", "total_revenue"})
    fact = "recommended_offer"
    for_contacts_only = True

    def outputs(self, offers: int) -> tuple[int, ...]:
        """Return the number of offers."""
        return (offers,)

    def explain_outputs(self, found: int, offers: int) -> str:
        """Return that the model does not fit the offers file."""
        return (
            f"the model scores {found} offers, but the highest offer id of offers.json is {offers}; train it again "
            f"with --offers {offers}, or correct offers.json"
        )

    def apply_rule(self, table: FeatureTable, offers: int) -> NDArray[np.float32]:
        """Score the offers by recency, frequency and value."""
        return offers_rule(table, offers)

    def word_reason(
        self, subject: Subject, direction: Direction, rates: Sequence[float], overall: Sequence[float]
    ) -> str:
        """Return the shares of such customers who take the offer and the second, or which of them it speaks for."""
        _ = overall
        # Both as printed: a reader sees which is larger.
        if not rates or not agrees(round(rates[0], 2) - round(rates[1], 2), direction):
            return f"speaks for {subject.first if direction == 'raises' else subject.second}"
        shares = f"{write_percent(rates[0])} of such customers take {subject.first}"
        return f"{shares}, {write_percent(rates[1])} {subject.second}"

    def preview(self, scores: NDArray[np.float32]) -> Column:
        """Return the id of the best scored offer."""
        return np.asarray(scores.argmax(axis=1) + 1)
