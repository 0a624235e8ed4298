"""How many customers a rule scored although a model serves, and why: for metrics and health."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

RECENT_BATCHES = 10


class Fallback(StrEnum):
    """Why a rule scored a customer and not the model that serves."""

    MISSING_COLUMN = "missing_column"
    UNREADABLE_INPUT = "unreadable_input"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"


@dataclass(frozen=True, slots=True)
class _Batch:
    version: str
    customers: int
    reasons: Mapping[Fallback, int]
    detail: str


@dataclass(slots=True)
class ModelFallbacks:
    """Counts for the life of a worker, and what the last batches of each model came to.

    Attributes:
        counts: customers scored by a rule, by model and reason.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _recent: defaultdict[str, deque[_Batch]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=RECENT_BATCHES))
    )

    def note(self, model: str, version: str, customers: int, reasons: Mapping[Fallback, int], detail: str = "") -> None:
        """Note a batch that a model scored.

        Args:
            model: churn, nbo or ltv.
            version: the version that serves.
            customers: how many there were.
            reasons: how many of them a rule scored, by reason; empty when the model scored them all.
            detail: an example, in words.
        """
        for reason, rows in reasons.items():
            self.counts[model, reason.value] += rows
        self._recent[model].append(_Batch(version, customers, reasons, detail))

    def describe(self, versions: Mapping[str, str]) -> list[str]:
        """Return a sentence for each model whose last batches were scored by a rule in part or as a whole.

        Args:
            versions: the version of each model that serves now; what others left behind does not count.
        """
        sentences = []
        for model, version in versions.items():
            batches = [batch for batch in self._recent.get(model, ()) if batch.version == version]
            total = sum((Counter(batch.reasons) for batch in batches), Counter[Fallback]())
            if total:
                rows, of = total.total(), sum(batch.customers for batch in batches)
                why = ", ".join(f"{reason.value} {count}" for reason, count in total.most_common())
                detail = next(batch.detail for batch in reversed(batches) if batch.reasons)
                sentences.append(
                    f"{model}: {version} serves, but a rule scored {rows} of the last {of} customers ({why}): {detail}"
                )
        return sentences
