"""Train churn on made-up orders of 50,000 customers at 4 cut-offs: python -m benchmarks.quality.speed.

Snapshots, choice between the nets on the last cut-off, training, export, scoring as served, and comparison with
LightGBM and the rest, twice with the same seed. Prints one JSON object: seconds on the clock and of all cores,
memory of this process, and whether both runs gave the same figures.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np

from benchmarks.quality.purchases import Shop, learn_from, measure_churn
from benchmarks.quality.selection import choose
from training.data.point_in_time import Orders

CUSTOMERS = 50_000
FIRST = np.datetime64("2024-01-01")
DAYS = 720
CUT_OFFS = ("2024-12-01", "2025-03-01", "2025-06-01", "2025-09-01")
TEST = "2025-09-20"
KIBIBYTES = 2**20


def main() -> None:
    """Measure and print."""
    orders = make_orders(seed=0)
    runs = [train(orders) for _ in range(2)]
    described = {
        "customers": CUSTOMERS,
        "cut_offs": len(CUT_OFFS),
        **{name: runs[0][name] for name in ("rows", "method", "auc", "seconds", "cpu_seconds")},
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIBIBYTES, 2),
        "same_figures": without_time(runs[0]) == without_time(runs[1]),
    }
    sys.stdout.write(json.dumps(described) + "\n")


def make_orders(seed: int) -> Orders:
    """Return orders of customers with a rate and a lifetime each, so that all of them live at every cut-off."""
    draw = np.random.default_rng(seed)
    rate = draw.gamma(2, 0.01, CUSTOMERS) + 0.01
    count = draw.poisson(rate * DAYS)
    customer = np.repeat(np.arange(CUSTOMERS), count)
    day = FIRST + draw.integers(0, DAYS, len(customer)).astype("timedelta64[D]")
    amount = np.exp(draw.normal(3, 0.7, len(customer)))
    return Orders(customer.astype(str), day, amount)


def train(orders: Orders) -> dict[str, Any]:
    """Return the figures of one run and the seconds it took."""
    began, used = time.monotonic(), time.process_time()
    rows = learn_from(Shop(orders, CUT_OFFS, TEST, "last cut-off"), history=False)
    figures = measure_churn(rows, choose(rows.churn, rows.folds).recipe)
    taken = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - used}
    return {**figures, "rows": len(rows.earlier), **{name: round(each, 1) for name, each in taken.items()}}


def without_time(run: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that must be the same for the same seed."""
    return {name: figure for name, figure in run.items() if "seconds" not in name}


if __name__ == "__main__":
    main()
