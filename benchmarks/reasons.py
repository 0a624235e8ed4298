"""Measures reasons for scores: `python -m benchmarks.reasons`, on one core; the last line is a JSON object.

Trains nets of 24 features in a process of its own (TensorFlow and the interpreter crash in one), exports them as
training does, and explains customers one after the other, as for triggers: microseconds of CPU per customer from inputs
to contributions, and from a table of facts to three factors with texts; next to it those of scoring in batches of 256.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.machine import describe
from features.table import FeatureTable
from models.reasons import OfferExplainer, OfferPair, ScoreExplainer
from models.reasons_file import REASONS_FILE
from models.registry import Scorers
from models.rfm import RfmCuts
from models.tflite import TFLiteScorer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from models.reasons import Explainer

FEATURES = tuple(f"f{place}_{days}d" for place in range(12) for days in (30, 180))
OFFERS = 8
ROWS = 4_000
CUSTOMERS = 400
BATCH = 256
ROUNDS = 7
MOST = 3
NULL_SHARE = 0.05
TARGET_US = 300.0
NETS = {
    "churn": ("additive", "binary"),
    "churn ensemble": ("tabm", "binary"),
    "ltv": ("additive", "zero_inflated_lognormal"),
    "ltv ensemble": ("tabm", "zero_inflated_lognormal"),
    "nbo": ("additive", "binary"),
}


def draw_rows() -> NDArray[np.float32]:
    """Return features, shape [rows, 24]: 12 pairs of a short and a long window, the pairs hardly correlated."""
    draw = np.random.default_rng(1)
    long = draw.gamma(1.5, 40, (ROWS, len(FEATURES) // 2))
    rows = np.stack([long * draw.random(long.shape), long], axis=2).reshape(ROWS, -1)
    rows[draw.random(rows.shape) < NULL_SHARE] = np.nan
    return np.asarray(rows, dtype=np.float32)


def make(folder: Path) -> None:
    """Train the nets and write a version of each."""
    from training.nets.fit import fit  # noqa: PLC0415 - TensorFlow, in this process alone
    from training.reasons import write_reasons  # noqa: PLC0415 - as above

    inputs, draw = draw_rows(), np.random.default_rng(2)
    known = np.nan_to_num(inputs, nan=40.0)
    logits = np.log1p(known) @ draw.normal(0, 0.1, (len(FEATURES), OFFERS)) + known[:, :1] * known[:, 2:3] / 4_000 - 1
    outcomes = (draw.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    spend = outcomes[:, :1] * np.exp(draw.normal(3, 0.6, (ROWS, 1))).astype(np.float32)
    for name, (method, likelihood) in NETS.items():
        targets = {"churn": outcomes[:, :1], "ltv": spend, "nbo": outcomes}[name.split()[0]]
        trained = fit(inputs, targets, likelihood=likelihood, method=method, seed=1)  # type: ignore[arg-type]
        home, content, scores = folder / name, trained.convert(), trained.predict(inputs)
        home.mkdir()
        (home / "model.tflite").write_bytes(content)
        described = write_reasons(home, FEATURES, inputs, targets, scores, {}, trained.predict, method)
        digests = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in home.iterdir()}
        manifest = {"version": name, "outputs": trained.outputs, "features": FEATURES, "files": digests}
        (home / "manifest.json").write_text(json.dumps(manifest | {"reasons": described}))


def measure(folder: Path) -> dict[str, Any]:
    """Return the figures of each net."""
    mapping, inputs = {name: name for name in FEATURES}, draw_rows()[:CUSTOMERS]
    found = {name: TFLiteScorer.load(folder / name, mapping) for name in NETS}
    figures = {name: measure_net(scorer, name.split()[0], inputs) for name, scorer in found.items()}
    for name, each in figures.items():
        each["file_kb"] = round((folder / name / REASONS_FILE).stat().st_size / 1000, 1)
    return figures


def measure_net(scorer: TFLiteScorer, task: str, inputs: NDArray[np.float32]) -> dict[str, Any]:
    """Return the figures of one net."""
    assert scorer.shapley is not None  # noqa: S101 - a benchmark of nothing would be fast
    shapley, described = scorer.shapley, scorer.manifest["reasons"]
    table = FeatureTable(tuple(map(str, range(len(inputs)))), dict(zip(FEATURES, inputs.T.astype(float), strict=True)))
    scorers = Scorers({task: scorer}, RfmCuts(), OFFERS)
    outputs: Sequence[int] = (0, 1) if task == "nbo" else (0,)
    pairs = [OfferPair(1, 2, "one", "two")] * len(inputs)
    explainer: Explainer = OfferExplainer(pairs, scorers) if task == "nbo" else ScoreExplainer(task, scorers)
    sums = np.array([shapley.explain(row, outputs).sum(axis=0) for row in inputs])
    gaps = shapley.score(inputs)[:, list(outputs)] - shapley.base[list(outputs)] - sums
    return {
        "groups": len(described["groups"]),
        "background_rows": described["background_rows"],
        "additive": described["additive"],
        "background_score": described["background_score"][0],
        "training_score": described["training_score"][0],
        "additivity_error": float(f"{np.abs(gaps).max():.1e}"),
        **time_us("contributions", lambda: [shapley.explain(row, outputs) for row in inputs]),
        **time_us("factors", lambda: explainer.explain(table, MOST)),
        **time_us("score", lambda: [shapley.score(inputs[:BATCH])], BATCH),
    }


def time_us(name: str, run: Callable[[], object], customers: int = CUSTOMERS) -> dict[str, float]:
    """Return the median of microseconds of CPU per customer over some rounds, and the least."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        run()
        taken.append(1e6 * (time.process_time() - begin) / customers)
    return {f"{name}_us": round(float(np.median(taken)), 2), f"{name}_us_least": round(min(taken), 2)}


def main() -> None:
    """Make the nets and measure."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as place, threadpool_limits(1):
        command = [sys.executable, "-m", "benchmarks.reasons", place]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 - this module
        figures = measure(Path(place))
    for name, each in figures.items():
        sys.stdout.write(
            f"{name:15} {each['contributions_us']:6.0f} us per customer, {each['factors_us']:.0f} with three texts; "
            f"{each['groups']} groups, {each['background_rows']} rows, additivity to {each['additivity_error']:g}\n"
        )
    slowest = max(each["factors_us"] for each in figures.values())
    result = {"machine": describe(), "reasons": figures, "slowest_us": slowest, "target_us": TARGET_US}
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1])) if sys.argv[1:] else main()
