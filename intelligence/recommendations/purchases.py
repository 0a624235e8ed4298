"""What customers bought. Pure."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.errors import RecommendationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from intelligence.recommendations.catalogue import Catalogue

PURCHASE_COLUMNS = ("customer_id", "product_id", "purchased_at", "quantity", "price")
REQUIRED_COLUMNS = frozenset({"customer_id", "product_id", "purchased_at"})
DAY_S = 86_400
NO_CUSTOMER, NO_TIME, FUTURE, RETURN, NO_PRODUCT = (
    "without a customer",
    "without a time that can be read",
    "dated in the future",
    "returns or without a quantity above 0",
    "of a product that the catalogue lacks",
)


@dataclass(frozen=True, slots=True)
class Purchases:
    """Purchases of products of a catalogue, in no order.

    Attributes:
        customer_ids: of all customers.
        customers: the place of the customer in `customer_ids`, [purchases].
        products: the place of the product in the catalogue, [purchases].
        days: when, in days since 1970, [purchases].
        excluded: how many rows were left out, by why; without zeros.
    """

    customer_ids: Sequence[str]
    customers: NDArray[np.int32]
    products: NDArray[np.int32]
    days: NDArray[np.float64]
    excluded: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.days)

    def take(self, chosen: NDArray[np.bool_]) -> Purchases:
        """Return the purchases where `chosen` is true, of the same customers."""
        return replace(self, customers=self.customers[chosen], products=self.products[chosen], days=self.days[chosen])


def read_purchases(
    rows: Iterable[Sequence[Any]], catalogue: Catalogue, source: str, now: datetime | None = None
) -> Purchases:
    """Return the purchases of rows; those that cannot count are left out and counted.

    Args:
        rows: values of PURCHASE_COLUMNS; a source without a quantity or price has None.
        catalogue: the products.
        source: what an error names.
        now: purchases of later days are left out; None for none.

    Raises:
        RecommendationError: no purchase is left.
    """
    customers, products, days = array("i"), array("i"), array("d")
    known: dict[str, int] = {}
    excluded = dict.fromkeys((NO_CUSTOMER, NO_TIME, FUTURE, RETURN, NO_PRODUCT), 0)
    end = math.inf if now is None else math.floor(now.timestamp() / DAY_S) + 1.0
    for customer_id, product_id, purchased_at, quantity, _ in rows:
        customer, day = _clean(customer_id), read_day(purchased_at)
        place = catalogue.places.get(_clean(product_id))
        problem = _find_problem(customer, day, quantity, place, end)
        if problem is not None or place is None or day is None:
            excluded[problem or NO_PRODUCT] += 1
            continue
        customers.append(known.setdefault(customer, len(known)))
        products.append(place)
        days.append(day)
    counts = {why: count for why, count in excluded.items() if count}
    if not days:
        reasons = "; ".join(f"{count:,} {why}" for why, count in counts.items())
        raise RecommendationError(
            f"{source} has no purchase that counts{f' ({reasons})' if reasons else ''}; compare its ids with those of "
            "the catalogue"
        )
    return Purchases(
        tuple(known),
        np.frombuffer(customers, dtype=np.int32),
        np.frombuffer(products, dtype=np.int32),
        np.frombuffer(days, dtype=np.float64),
        counts,
    )


def read_day(value: Any) -> float | None:
    """Return a time as days since 1970, UTC where it names no zone; None where it cannot be read."""
    if not isinstance(value, datetime):
        try:
            value = datetime.fromisoformat(str(value).strip())
        except ValueError:
            return None
    zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
    return float(zoned.timestamp()) / DAY_S


def _find_problem(customer: str, day: float | None, quantity: Any, place: int | None, end: float) -> str | None:
    if not customer:
        return NO_CUSTOMER
    if day is None:
        return NO_TIME
    if day >= end:
        return FUTURE
    if quantity is not None and not _is_positive(quantity):
        return RETURN
    return NO_PRODUCT if place is None else None


def _is_positive(quantity: Any) -> bool:
    try:
        number = float(quantity)
    except (TypeError, ValueError):
        return False
    return math.isfinite(number) and number > 0


def _clean(value: Any) -> str:
    return "" if value is None else str(value).strip()
