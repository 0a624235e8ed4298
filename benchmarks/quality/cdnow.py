"""CDNOW (Fader and Hardie): the 23,570 customers who first bought in early 1997, until mid-1998."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.errors import require
from benchmarks.quality.purchases import Shop, measure_shop
from training.data.point_in_time import Orders

if TYPE_CHECKING:
    from pathlib import Path

CUT_OFFS = ("1997-10-01", "1997-11-15", "1998-01-01")
TEST = "1998-04-01"


def measure(data: Path) -> dict[str, Any]:
    """Return the figures."""
    return measure_shop(Shop(read(require(data / "CDNOW_master.txt")), CUT_OFFS, TEST, "last cut-off"))


def read(path: Path) -> Orders:
    """Read the purchases: customer, day as 19970101, number of discs, dollars, below a heading."""
    rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()[1:] if line.strip()]
    return Orders(
        np.array([row[0] for row in rows]),
        np.array([f"{row[1][:4]}-{row[1][4:6]}-{row[1][6:]}" for row in rows], dtype="datetime64[D]"),
        np.array([float(row[3]) for row in rows]),
    )
