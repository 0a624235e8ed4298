"""UCI Online Retail (Chen 2015): a British wholesaler of gifts, 4,372 customers in 2011."""

from __future__ import annotations

import csv
import gzip
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.errors import require
from benchmarks.quality.purchases import Shop, measure_shop
from training.data.point_in_time import Orders

if TYPE_CHECKING:
    from pathlib import Path

CUT_OFFS = ("2011-05-31", "2011-06-10")
TEST = "2011-09-09"


def measure(data: Path) -> dict[str, Any]:
    """Return the figures; the history allows two cut-offs, ten days apart, before the windows reach the test."""
    orders = read(require(data / "online_retail_invoices.csv.gz"))
    return measure_shop(Shop(orders, CUT_OFFS, TEST, "customers"))


def read(path: Path) -> Orders:
    """Read the invoices; cancellations have negative amounts."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return Orders(
        np.array([row["CustomerID"] for row in rows]),
        np.array([row["InvoiceDate"][:10] for row in rows], dtype="datetime64[D]"),
        np.array([float(row["value"]) for row in rows]),
    )
