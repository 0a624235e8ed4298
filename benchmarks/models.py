"""Measures the models in service on one core: `python -m benchmarks.models`.

1. Speed: columns of 24 features in, scores of churn and of value out, at batch 256 and others, by the scorers that
   workers use, without a service.
2. Agreement: what serving gives, the exported graph run at once, and Keras, on 5,000 rows; and whether the spread
   changes a score.
3. Reasons, where the version that serves has them: microseconds per customer.
4. A million customers into a Parquet file by `holdfast predict`, from the embedded PostgreSQL: seconds and memory.

`--without-services` leaves out the fourth. PREDICT_CUSTOMERS changes its size. The last line is a JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import psycopg

from benchmarks.machine import describe
from benchmarks.peers import ROOT
from benchmarks.segment_preview import TABLE, make_environment
from console.embedded.services import EmbeddedServices
from features.table import FeatureTable
from models.inputs import FEATURE_MAPPING
from models.interpreter import Interpreter, allocate
from models.reasons import ScoreExplainer
from models.registry import load_scorers
from models.tflite import TFLiteScorer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

CUSTOMERS = int(os.environ.get("PREDICT_CUSTOMERS", "1000000"))
EXAMPLE_MODELS = ROOT / "examples" / "online_retail" / "models"
BATCHES = (1, 32, 256, 512, 20_000)
TARGET_BATCH = 256
ROUNDS, SHORTEST_S = 7, 0.2
EXPLAINED = 200
TARGETS = {"customers_per_s": 400_000, "reasons_us": 300, "graph": 1e-6, "keras": 1e-5, "million_s": 60}


@click.command()
@click.option("--without-services", is_flag=True, help="Leave out the million customers.")
def main(*, without_services: bool) -> None:
    """Measure and print."""
    report: dict[str, Any] = {"machine": describe(), "targets": TARGETS}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    with tempfile.TemporaryDirectory(prefix="holdfast-") as place:
        nets = Path(place) / "nets"
        subprocess.run([sys.executable, "-m", "benchmarks.model_training", nets], check=True, cwd=ROOT)  # noqa: S603 - our own module
        names = sorted(each.name for each in nets.iterdir())
        report["agreement"] = {name: compare(nets / name) for name in names}
        show("largest difference", report["agreement"])
        report["customers_per_s"] = {name: measure_speed(nets / name) for name in names}
        show("customers/s by batch", report["customers_per_s"])
        report["spread_changes_scores"] = not all(
            np.array_equal(score(nets / f"churn-{method}"), score(nets / f"churn-{method}-without-spread"))
            for method in ("additive", "tabm")
        )
        report["reasons_us"] = measure_reasons()
        # The command and the server of the warehouse may each have a core.
        os.sched_setaffinity(0, cores)
        if not without_services:
            report["million"] = measure_million(Path(place))
    click.echo(json.dumps(report))


def show(title: str, rows: dict[str, dict[str, Any]]) -> None:
    """Print figures for people."""
    click.echo(title)
    for name, figures in rows.items():
        click.echo(f"  {name:28} " + "  ".join(f"{key} {value:,}" for key, value in figures.items()))


def load(folder: Path) -> TFLiteScorer:
    """Return the scorer of a folder; a feature is read from the column of its name."""
    names = json.loads((folder / "manifest.json").read_bytes())["features"]
    return TFLiteScorer.load(folder, {name: name for name in names})


def table_of(scorer: TFLiteScorer, inputs: NDArray[np.float32]) -> FeatureTable:
    """Return rows as a warehouse gives them: columns of doubles."""
    columns = {name: cells.astype(np.float64) for name, cells in zip(scorer.columns, inputs.T, strict=True)}
    return FeatureTable(tuple(map(str, range(len(inputs)))), columns)


def score(folder: Path) -> NDArray[np.float32]:
    """Return the scores of the compared rows, without spreads."""
    scorer = load(folder)
    with np.load(folder / "keras.npz") as rows:
        return scorer.score(table_of(scorer, rows["inputs"]))


def compare(folder: Path) -> dict[str, float]:
    """Return how far serving is from the exported graph and from Keras, as a share of scores above 1."""
    scorer = load(folder)
    with np.load(folder / "keras.npz") as rows:
        inputs, keras = rows["inputs"], rows["scores"]
    served = scorer.score_with_spread(table_of(scorer, inputs))
    graph = run_graph((folder / "model.tflite").read_bytes(), inputs)
    return {"graph": find_gap(served, graph), "keras": find_gap(served, keras)}


def find_gap(served: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Return the largest difference, as a share of what is above 1."""
    return float((np.abs(served - expected) / np.maximum(np.abs(expected), 1.0)).max())


def run_graph(content: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Run the exported graph by itself on all rows at once."""
    interpreter = Interpreter(model_content=content, num_threads=1)
    into = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(into, inputs.shape)
    allocate(interpreter)
    interpreter.set_tensor(into, inputs)
    interpreter.invoke()
    outputs: NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return outputs


def measure_speed(folder: Path) -> dict[str, int]:
    """Return customers per second from columns to scores, by batch: the best of several rounds."""
    scorer = load(folder)
    with np.load(folder / "keras.npz") as rows:
        inputs = np.resize(rows["inputs"], (max(BATCHES), rows["inputs"].shape[1]))
    tables = [table_of(scorer, inputs[:batch]) for batch in BATCHES]
    return {str(len(table)): round(len(table) / time_each(partial(scorer.score, table))) for table in tables}


def measure_reasons() -> float | None:
    """Return the microseconds that the reasons of one customer take; None where the shipped version has none."""
    scorers = load_scorers(EXAMPLE_MODELS, FEATURE_MAPPING)
    draw = np.random.default_rng(3)
    columns = {name: draw.gamma(1.0, 60.0, EXPLAINED) for name in FEATURE_MAPPING.values()}
    table = FeatureTable(tuple(map(str, range(EXPLAINED))), columns)
    explainer = ScoreExplainer("churn", scorers)
    if not any(explainer.explain(table)):
        return None
    return round(1e6 * time_each(lambda: explainer.explain(table)) / EXPLAINED, 1)


def time_each(work: Callable[[], object]) -> float:
    """Return the seconds of CPU of one call: the best of several rounds, each of at least SHORTEST_S.

    Everything runs in one thread, so that these are the seconds of a core of one's own.
    """
    began = time.process_time()
    work()
    calls = max(1, round(SHORTEST_S / max(time.process_time() - began, 1e-6)))
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(calls):
            work()
        best = min(best, (time.process_time() - began) / calls)
    return best


def measure_million(folder: Path) -> dict[str, Any]:
    """Return how long `holdfast predict churn --all` takes and how much memory, and what it wrote."""
    out = folder / "predictions.parquet"
    with EmbeddedServices(folder / "services") as services:
        endpoints = services.start()
        with psycopg.connect(endpoints.warehouse_url, autocommit=True) as warehouse:
            warehouse.execute(TABLE, {"customers": CUSTOMERS})
            warehouse.execute("VACUUM ANALYZE customer_features_view")
        environment = {**make_environment(endpoints), "HOLDFAST_MODELS_DIR": str(EXAMPLE_MODELS)}
        arguments = [sys.executable, "-m", "console", "predict", "churn", "--all", "--out", str(out)]
        began = time.monotonic()
        process = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
        said = process.stdout.read().strip() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        if status:
            raise subprocess.CalledProcessError(status, arguments)
    measured = {
        "customers": CUSTOMERS,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "memory_mb": round(usage.ru_maxrss / 1024),
        "file_mb": round(out.stat().st_size / 2**20, 1),
    }
    click.echo(f"{said}: {measured}")
    return measured


if __name__ == "__main__":
    main()
