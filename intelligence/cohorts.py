"""Cohorts of customers by the month of their first purchase, and how many buy again in later months. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.recommendations.purchases import read_day

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

YEAR = 12


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Which customers bought in which month.

    Attributes:
        customer_ids: of all customers.
        customers: the place of a customer in `customer_ids`, [customer and month], each pair once.
        months: the month, counted from January of year 0, [customer and month].
        first: the month of each customer's first purchase, [customers].
    """

    customer_ids: Sequence[str]
    customers: NDArray[np.int64]
    months: NDArray[np.int64]
    first: NDArray[np.int64]

    def rows(self, most: int) -> list[CohortRow]:
        """Return the latest cohorts, the oldest first."""
        if not len(self.months):
            return []
        end = int(self.months.max())
        ages = self.months - self.first[self.customers]
        found = []
        for month in range(max(end - most + 1, int(self.first.min())), end + 1):
            mine = self.first[self.customers] == month
            counts = np.bincount(ages[mine], minlength=end - month + 1)
            found.append(CohortRow(month, int(counts[0]), counts.tolist()))
        return found

    def active(self, cohort: int, age: int, most: int) -> list[str]:
        """Return the ids of customers of a cohort who bought that many months after its month, in order."""
        chosen = (self.first[self.customers] == cohort) & (self.months == cohort + age)
        return sorted(self.customer_ids[place] for place in self.customers[chosen])[:most]


@dataclass(frozen=True, slots=True)
class CohortRow:
    """A cohort.

    Attributes:
        month: of the first purchase, counted from January of year 0.
        size: its customers.
        active: those who bought so many months later, from 0 on.
    """

    month: int
    size: int
    active: Sequence[int]

    @property
    def name(self) -> str:
        """The month, as 2026-11."""
        return f"{self.month // YEAR:04}-{self.month % YEAR + 1:02}"


def build_cohorts(purchases: Iterable[tuple[Any, Any]]) -> Cohorts:
    """Return the cohorts of purchases, each a customer and a time; those without either are left out."""
    known: dict[str, int] = {}
    pairs: set[tuple[int, int]] = set()
    for customer_id, purchased_at in purchases:
        day = read_day(purchased_at)
        name = "" if customer_id is None else str(customer_id).strip()
        if name and day is not None:
            pairs.add((known.setdefault(name, len(known)), _month(day)))
    table = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)
    customers, months = table[:, 0], table[:, 1]
    first = np.full(len(known), np.iinfo(np.int64).max)
    np.minimum.at(first, customers, months)
    return Cohorts(tuple(known), customers, months, first)


def _month(day: float) -> int:
    at: date = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date()
    return at.year * YEAR + at.month - 1
