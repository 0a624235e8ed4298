"""Cut points of RFM from the customers of today."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from psycopg import sql

from features.postgres_warehouse import split_name
from features.table import plain
from models.rfm import quintiles
from models.rules import lifetime_value_rule
from training.data.dataset import read_table
from training.errors import TrainingDataError

if TYPE_CHECKING:
    from pathlib import Path

    from features.table import Column
    from training.data.dataset import Source

COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")


def write_cuts(source: Source, view: str, out: Path) -> Path:
    """Compute the fifths of recency, frequency and monetary value and write rfm.json; return its path.

    Args:
        source: the warehouse, and a query in place of the view.
        view: the table or view of the customers.
        out: the folder of the models.

    Raises:
        TrainingSourceError: the view cannot be read.
        TrainingDataError: it has no rows or lacks a column.
    """
    name = sql.Identifier(*split_name(view)).as_string()
    table = read_table(source, source.query or f"SELECT * FROM {name}")  # noqa: S608 - quoted
    missing = [name for name in COLUMNS if name not in table.columns or is_null(table.columns[name])]
    if missing or not len(table):
        raise TrainingDataError(
            f"RFM cut points need customers with {', '.join(COLUMNS)}; {source.query or view} gave {len(table)} rows, "
            f"without values for {', '.join(missing) or 'none'}; add them, or do without RFM"
        )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "rfm.json"
    cuts = asdict(quintiles(table, lifetime_value_rule(table)[:, 0]))
    del cuts["risk"]  # a setting
    path.write_text(json.dumps(cuts, indent=2) + "\n", encoding="utf-8")
    return path


def is_null(column: Column) -> bool:
    """Return whether a column has no values."""
    return all(plain(cell) is None for cell in column)
