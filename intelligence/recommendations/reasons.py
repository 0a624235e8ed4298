"""Why a product is recommended: the purchases and concepts behind it. Pure.

A product that the customer bought before is explained by that. Another one is explained by the purchases that
count most in its EASE score, and by the words and the category that it shares with them; then by purchases of products
alike; then by its sales.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intelligence.recommendations.catalogue import Product

REPEAT, TOGETHER, ALIKE, POPULAR = "repeat", "bought_together", "alike", "popular"
PURCHASES_SHOWN = 2
CONCEPTS_SHOWN = 3
FEW_TIMES = 2
"""Purchases that show no interval yet."""
_FEW = {1: "once", 2: "twice"}


class Support(NamedTuple):
    """What speaks for a product that the customer has not bought.

    Attributes:
        kind: TOGETHER, ALIKE or POPULAR.
        purchases: the places of the customer's products behind it, the strongest first.
        sold: how many customers bought it in 30 days.
    """

    kind: str
    purchases: Sequence[int]
    sold: int


def explain_repeat(times: int, last: float, first: float, as_of: float) -> dict[str, Any]:
    """Return the reason of a repeat purchase.

    Args:
        times: on how many days the customer bought it.
        last: the latest of them, in days since 1970.
        first: the first of them.
        as_of: the day of recommending.
    """
    day = _write_day(last)
    usual = max(1, round((last - first) / (times - 1))) if times > FEW_TIMES else None
    often = _FEW.get(times, f"{times} times")
    interval = "" if usual is None else f", every {f'{usual} days' if usual > 1 else 'day'}"
    return {
        "reason": f"You bought it {often}{interval}, last on {day}",
        "because": {
            "kind": REPEAT,
            "times": times,
            "last_bought": day,
            "usual_interval_days": usual,
            "days_since": int(as_of - last),
        },
    }


def explain_new(
    place: int, support: Support, products: Sequence[Product], concepts: Sequence[Sequence[str]]
) -> dict[str, Any]:
    """Return the reason of a product that the customer has not bought.

    Args:
        place: of the product in the catalogue.
        support: what speaks for it.
        products: of the catalogue.
        concepts: the words of each product, see content.py.
    """
    behind = [products[each] for each in support.purchases[:PURCHASES_SHOWN]]
    shared = [word for word in concepts[place] if any(word in concepts[each] for each in support.purchases)]
    category = products[place].category
    same = category if category and any(each.category == category for each in behind) else None
    because = {
        "kind": support.kind,
        "purchases": [{"product_id": each.product_id, "name": each.name} for each in behind],
        "concepts": shared[:CONCEPTS_SHOWN],
        "category": same,
        "customers_30_days": support.sold,
    }
    return {
        "reason": _write_reason(support, [each.name for each in behind], shared[:CONCEPTS_SHOWN], same),
        "because": because,
    }


def _write_reason(support: Support, names: Sequence[str], concepts: Sequence[str], category: str | None) -> str:
    if support.kind == POPULAR:
        if not support.sold:
            return "New in the catalogue"
        return f"Bought by {support.sold:,} customer{'s' if support.sold > 1 else ''} in the last 30 days"
    bought = " and ".join(names)
    why = (
        f"Customers who bought {bought} buy it, too"
        if support.kind == TOGETHER
        else f"It is like {bought}, which you bought"
    )
    shared = [
        f"in common: {', '.join(concepts)}" if concepts else "",
        f"of the same category, {category}" if category else "",
    ]
    return "; ".join([why, *filter(None, shared)])


def _write_day(day: float) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(day)):%Y-%m-%d}"
