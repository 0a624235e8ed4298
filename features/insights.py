"""Insights: what batch jobs learn of a customer from all customers, as facts for rules, offers and messages. Pure.

Workers read them with the memberships, and only the kinds of which something reads a fact. A customer whom no run has
seen has nulls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from features.table import Column, FeatureTable

CLUSTER, RECOMMENDATIONS = "cluster", "recommendations"
RECOMMENDATIONS_FACT, RECOMMENDED_AT = "recommendations", "recommended_at"
"""The facts that the offer policy `recommended` reads: the list, and when it was computed."""
KINDS: Mapping[str, tuple[str, ...]] = {
    CLUSTER: ("cluster", "cluster_name"),
    RECOMMENDATIONS: (RECOMMENDATIONS_FACT, "recommended_product", RECOMMENDED_AT),
}
"""The facts of each kind."""
INSIGHT_FACTS = frozenset(name for names in KINDS.values() for name in names)

Insights = dict[str, dict[str, Any]]
"""The facts of one customer, by kind."""


def find_kinds(facts: Collection[str]) -> tuple[str, ...]:
    """Return the kinds of which a fact is among those."""
    return tuple(kind for kind, names in KINDS.items() if not set(names).isdisjoint(facts))


def add_insights(table: FeatureTable, insights: Mapping[str, Insights], kinds: Iterable[str] = KINDS) -> FeatureTable:
    """Return a table with the facts of these kinds; a column of the warehouse with the name of one stays."""
    columns: dict[str, Column] = {}
    for kind in kinds:
        rows = [insights.get(each, {}).get(kind, {}) for each in table.customer_ids]
        for name in KINDS[kind]:
            if name not in table.columns:
                # Filled one by one: lists are cells here, not dimensions.
                columns[name] = np.empty(len(rows), dtype=object)
                for place, row in enumerate(rows):
                    columns[name][place] = row.get(name)
    return table.with_columns(columns) if columns else table
