"""Cut points of RFM from the customers of today."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from models.rfm import quintiles
from models.rules import lifetime_value_rule
from training.data.dataset import read_table
from training.errors import TrainingDataError

if TYPE_CHECKING:
    from pathlib import Path

    from training.data.dataset import Source

QUERY = "SELECT * FROM customer_features_view"
COLUMNS = ("days_since_last_transaction", "transaction_count", "total_revenue")


def write_cuts(source: Source, out: Path) -> Path:
    """Compute the fifths of recency, frequency and monetary value and write rfm.json; return its path.

    Raises:
        TrainingSourceError: the view cannot be read.
        TrainingDataError: it has no rows or lacks a column.
    """
    table = read_table(source, source.query or QUERY)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing or not len(table):
        raise TrainingDataError(
            f"RFM cut points need rows with {', '.join(COLUMNS)}; "
            f"the query gave {len(table)} rows and lacks {', '.join(missing) or 'none'}; check the view"
        )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "rfm.json"
    cuts = asdict(quintiles(table, lifetime_value_rule(table)[:, 0]))
    path.write_text(json.dumps(cuts, indent=2) + "\n", encoding="utf-8")
    return path
