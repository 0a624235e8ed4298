"""SQL of a view with the features of snapshots as of today: what serves a model that was trained on orders.

The features are those of training/data/point_in_time.py at a cut-off of today, from orders before today. Customers
without an order in the observation window have rows, too; training had none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from training.data.point_in_time import SHORTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from psycopg.sql import Composable


_VIEW = sql.SQL("""\
-- The columns of {base} and the features of a model trained on orders, as of the beginning of today in UTC.
-- Holdfast reads it by customer: an index of the orders on the customer makes that fast. For very many orders create
-- a materialized view and refresh it once a day.
CREATE OR REPLACE VIEW {name} AS
SELECT
{columns}
FROM {base} AS customers
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE amount > 0) AS purchases,
{aggregates}
    FROM (
        SELECT age, amount,
               CASE WHEN amount > 0 AND age <= {window}
                    THEN age - lag(age) OVER (PARTITION BY amount > 0 AND age <= {window} ORDER BY age) END AS gap
        FROM (
            SELECT (now() AT TIME ZONE 'UTC')::date - ordered_at::date AS age, amount::float8 AS amount
            FROM {orders} AS orders
            WHERE orders.customer_id{cast} = customers.{id}{cast}
        ) AS aged
        WHERE age > 0
    ) AS placed
) AS seen ON true
""")


@dataclass(frozen=True, slots=True)
class BaseView:
    """The view that the features are added to.

    Attributes:
        relation: its name, or a query in parentheses.
        id_column: the customer's id in it.
        columns: all of its columns.
        casts_id: whether ids are compared as text, since they have another type than in the orders.
    """

    relation: Composable
    id_column: str
    columns: Sequence[str]
    casts_id: bool


def write_view(name: Composable, base: BaseView, orders: Composable, window: int) -> str:
    """Return the statement that creates the view.

    Args:
        name: of the new view.
        base: the view to add the features to; a column of it that has the name of a feature is replaced.
        orders: a table or a query in parentheses with columns customer_id, ordered_at and amount.
        window: the observation window of the snapshots, days.
    """
    features = describe_features(window)
    kept = [sql.SQL("customers.{}").format(sql.Identifier(name)) for name in base.columns if name not in features]
    # A customer without any purchase has no feature, as one without a row.
    added = [
        sql.SQL("CASE WHEN purchases > 0 THEN {} END AS {}").format(sql.SQL(expression), sql.Identifier(name))
        for name, expression in features.items()
    ]
    return _VIEW.format(
        name=name,
        base=base.relation,
        id=sql.Identifier(base.id_column),
        cast=sql.SQL("::text" if base.casts_id else ""),
        orders=orders,
        window=sql.Literal(window),
        columns=_lines((*kept, *added), 4),
        aggregates=_lines(map(sql.SQL, _aggregates(window)), 8),
    ).as_string(None)


def describe_features(window: int) -> Mapping[str, str]:
    """Return the SQL of each feature over the aggregates of one customer, by name; window in days."""
    shorter = {days: f"revenue_{days}" for days in _windows(window)}
    revenue, latest = f"revenue_{window}", shorter[window // SHORTER[0]]
    mean_gap = "(oldest - newest)::float8 / nullif(days - 1, 0)"
    counted = {}
    for days in shorter:
        counted[f"transactions_{days}d"] = f"transactions_{days}"
        counted[f"revenue_{days}d"] = f"coalesce(revenue_{days}, 0)"
    return {
        **counted,
        f"avg_transaction_value_{window}d": f"{revenue} / nullif(transactions_{window}, 0)",
        f"largest_transaction_{window}d": "coalesce(largest, 0)",
        f"revenue_trend_{window}d": f"(2 * coalesce({latest}, 0) - {revenue}) / {revenue}",
        "days_since_last_transaction": "last_age - 1",
        f"active_days_{window}d": "days",
        f"avg_days_between_orders_{window}d": mean_gap,
        f"longest_gap_{window}d": "nullif(longest, 0)",
        f"overdue_{window}d": f"newest / ({mean_gap})",
        f"cancellations_{window}d": "refunds",
        f"refunded_{window}d": "coalesce(refunded, 0)",
        f"tenure_days_{window}d": f"least(first_age - 1, {window})",
    }


def _windows(window: int) -> list[int]:
    return list(dict.fromkeys((window, *(window // part for part in SHORTER))))


def _aggregates(window: int) -> list[str]:
    bought, seen = "amount > 0", f"amount > 0 AND age <= {window}"
    refunded = f"amount < 0 AND age <= {window}"
    counted = [
        part
        for days in _windows(window)
        for part in (
            f"count(*) FILTER (WHERE {bought} AND age <= {days}) AS transactions_{days}",
            f"sum(amount) FILTER (WHERE {bought} AND age <= {days}) AS revenue_{days}",
        )
    ]
    return [
        *counted,
        f"max(amount) FILTER (WHERE {seen}) AS largest",
        f"count(DISTINCT age) FILTER (WHERE {seen}) AS days",
        f"min(age) FILTER (WHERE {seen}) AS newest",
        f"max(age) FILTER (WHERE {seen}) AS oldest",
        "max(gap) AS longest",
        f"count(*) FILTER (WHERE {refunded}) AS refunds",
        f"-sum(amount) FILTER (WHERE {refunded}) AS refunded",
        f"min(age) FILTER (WHERE {bought}) AS last_age",
        f"max(age) FILTER (WHERE {bought}) AS first_age",
    ]


def _lines(parts: Iterable[Composable], indent: int) -> Composable:
    space = sql.SQL(" " * indent)
    return sql.SQL(",\n").join(space + part for part in parts)
