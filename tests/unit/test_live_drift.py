"""Drift of the customers that a worker decides about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.table import FeatureTable
from models.live_drift import BLOCK, EVERY, SAMPLE, WINDOW, Bins, LiveDrift
from models.versions import SNAPSHOT_FILE, version_folder
from tests.fakes.scorer import InMemoryScorer
from training.monitoring.drift import describe_column, measure_drift

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

RANDOM = np.random.default_rng(11)
TRAINED = RANDOM.normal(size=(20_000, 2)).astype(np.float32)
TRAINED[::9, 1] = np.nan
SCORES = RANDOM.uniform(size=(20_000, 1)).astype(np.float32)
SNAPSHOT: dict[str, Any] = {
    "features": {name: describe_column(TRAINED[:, n]) for n, name in enumerate(("recency", "spend"))},
    "scores": {"score": describe_column(SCORES[:, 0])},
}
KEY = ("churn", "given")


class Reports:
    """Keeps what is reported."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.over: list[str] = []

    def hear(self, _model: str, _version: str, begun: Mapping[str, float], over: Mapping[str, float]) -> None:
        """Keep the columns."""
        self.begun += begun
        self.over += over


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
def drift(tmp_path: Path, reports: Reports) -> LiveDrift:
    """The drift of a version with a training snapshot."""
    write(tmp_path, json.dumps(SNAPSHOT))
    return LiveDrift(tmp_path, reports.hear)


def write(models: Path, snapshot: str) -> None:
    folder = version_folder(models / "churn", "given")
    folder.mkdir(parents=True)
    (folder / SNAPSHOT_FILE).write_text(snapshot)


def scorer() -> InMemoryScorer:
    made = InMemoryScorer({}, columns=("days", "revenue"))
    made.manifest = {"features": ["recency", "spend"]}  # type: ignore[attr-defined]
    return made


def note(drift: LiveDrift, inputs: NDArray[np.float32], scores: NDArray[np.float32], batch: int = 100) -> None:
    """Count customers, each batch as often as it takes for one of them to be looked at."""
    for start in range(0, len(inputs), batch):
        rows = slice(start, start + batch)
        columns = {name: inputs[rows, n].astype(np.float64) for n, name in enumerate(("days", "revenue"))}
        table = FeatureTable(tuple(map(str, range(len(inputs[rows])))), columns)
        for _ in range(EVERY):
            drift.note("churn", scorer(), table, scores[rows])


def test_it_is_the_index_of_the_monitor(drift: LiveDrift) -> None:
    inputs, scores = TRAINED[:2000] + np.float32(0.3), SCORES[:2000] ** 2
    note(drift, inputs, scores)
    expected = measure_drift(SNAPSHOT, inputs, ["recency", "spend"], scores)
    assert {column: psi for (*_, column), psi in drift.measure().items()} == pytest.approx(expected)
    assert drift.count_rows() == {KEY: 2000}


@pytest.mark.parametrize("batch", [1, 7, 128])
def test_it_does_not_matter_how_customers_are_batched(drift: LiveDrift, batch: int) -> None:
    note(drift, TRAINED[:900], SCORES[:900], batch)
    expected = measure_drift(SNAPSHOT, TRAINED[:900], ["recency", "spend"], SCORES[:900])
    assert {column: psi for (*_, column), psi in drift.measure().items()} == pytest.approx(expected)


def test_values_in_no_bin_and_on_an_edge_are_counted_as_in_training() -> None:
    bins = Bins.of(SNAPSHOT, ["recency", "spend"])
    edge = bins.edges[0, 3]
    values = np.array([[edge] * 3, [np.nan] * 3, [np.inf] * 3, [-np.inf] * 3], dtype=np.float32)
    assert bins.count(values)[0].tolist() == [1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1]


def test_few_customers_say_nothing(drift: LiveDrift, reports: Reports) -> None:
    note(drift, TRAINED[:299] + 9, SCORES[:299])
    assert (drift.measure(), drift.find_drifted(), reports.begun) == ({}, {}, [])


def test_drift_is_reported_once_and_once_again_when_it_is_over(drift: LiveDrift, reports: Reports) -> None:
    note(drift, TRAINED[:WINDOW], SCORES[:WINDOW])
    assert reports.begun == []
    note(drift, TRAINED[:WINDOW] + np.float32([2, 0]), SCORES[:WINDOW])
    assert reports.begun == ["recency"]
    assert drift.find_drifted() == {(*KEY, "recency"): 1}
    note(drift, TRAINED[: 2 * WINDOW], SCORES[: 2 * WINDOW])
    assert (reports.begun, reports.over, drift.find_drifted()) == (["recency"], ["recency"], {})


def test_drift_around_the_threshold_does_not_come_and_go(tmp_path: Path, reports: Reports) -> None:
    """Alternately a little above and a little below it."""
    write(tmp_path, json.dumps(SNAPSHOT))
    above, below = (TRAINED[:BLOCK, :] + np.float32([shift, 0]) for shift in (0.56, 0.40))
    drift = LiveDrift(tmp_path, reports.hear, threshold=0.2)
    for _ in range(30):
        note(drift, above, SCORES[:BLOCK])
        note(drift, below, SCORES[:BLOCK])
    assert len(reports.begun) <= 1
    assert reports.over == []


def test_memory_is_bounded_and_large_batches_are_sampled(drift: LiveDrift) -> None:
    note(drift, TRAINED, SCORES, batch=4000)
    assert drift.count_rows()[KEY] <= 5 * SAMPLE
    note(drift, np.tile(TRAINED, (2, 1)), np.tile(SCORES, (2, 1)), batch=SAMPLE)
    assert WINDOW <= drift.count_rows()[KEY] < WINDOW + BLOCK


@pytest.mark.parametrize("snapshot", ["", "[]", "{}", '{"features": {}, "scores": {}}', '{"features": {"recency": 1}}'])
def test_a_version_without_a_usable_snapshot_is_not_measured(tmp_path: Path, reports: Reports, snapshot: str) -> None:
    """As one that was trained before there were any."""
    write(tmp_path, snapshot)
    drift = LiveDrift(tmp_path, reports.hear)
    note(drift, TRAINED[:900], SCORES[:900])
    assert (drift.measure(), drift.count_rows()) == ({}, {})


def test_another_version_begins_with_no_customers(drift: LiveDrift) -> None:
    note(drift, TRAINED[:900], SCORES[:900])
    drift.keep({"churn": "given"}, {"churn": "churn-2"})
    assert drift.count_rows() == {KEY: 900}
    drift.keep({"churn": "churn-2"})
    assert drift.count_rows() == {}
