"""Rows to learn from, read from the warehouse and split so that evaluation comes later than training.

The tables are point in time by their making: features strictly before a row's date, the label from it on.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import psycopg

from features.table import FeatureTable, plain
from models.errors import ModelInputError
from models.inputs import model_inputs, numbers
from training.errors import TrainingDataError, TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from numpy.typing import NDArray

    from training.tasks import Task

ROWS_AT_LEAST = 50
ROWS_RECOMMENDED = 1000
RATE_EXPECTED = (0.02, 0.98)
EVALUATED_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from.

    Attributes:
        warehouse_url: the data warehouse.
        feature_mapping: the model's name of each feature, and the column it is in.
        start_date: what :start_date stands for in the query.
        query: the user's own SQL; None for the task's own.
    """

    warehouse_url: str
    feature_mapping: Mapping[str, str]
    start_date: date
    query: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows to learn from.

    Attributes:
        table: every column read.
        inputs: shape [rows, features], null is NaN.
        targets: shape [rows, outputs]: 1, 0, or -1 where the outcome was not observed.
        propensities: shape [rows], the probability with which the offer was shown; NaN where not logged.
        dates: shape [rows], datetime64[D]; NaT where rows carry no date.
        warnings: what a person should know before trusting the result.
    """

    table: FeatureTable
    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    propensities: NDArray[np.float64]
    dates: NDArray[np.datetime64]
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, chosen: NDArray[np.bool_]) -> Dataset:
        """Return the rows where `chosen` is true."""
        return Dataset(
            self.table.take(np.flatnonzero(chosen)),
            self.inputs[chosen],
            self.targets[chosen],
            self.propensities[chosen],
            self.dates[chosen],
            self.warnings,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of inputs, targets and dates."""
        digest = hashlib.sha256(self.inputs.tobytes())
        digest.update(self.targets.tobytes())
        digest.update(self.dates.tobytes())
        return digest.hexdigest()


def read_dataset(source: Source, task: Task) -> Dataset:
    """Read and check the rows of a task.

    Raises:
        TrainingSourceError: the warehouse or the query cannot be used.
        TrainingDataError: the rows cannot be learned from.
    """
    return prepare(read_table(source, source.query or task.query), task, source.feature_mapping)


def read_table(source: Source, query: str) -> FeatureTable:
    """Run a query, :start_date filled in, and return its rows.

    Raises:
        TrainingSourceError: the warehouse or the query cannot be used.
    """
    # ::start_date would be a cast; percent signs of the user's SQL stand for themselves.
    statement = re.sub(r"(?<!:):start_date\b", "%(start_date)s", query.replace("%", "%%"))
    try:
        with psycopg.connect(source.warehouse_url, connect_timeout=10) as connection:
            cursor = connection.execute(statement.encode(), {"start_date": source.start_date})
            rows = cursor.fetchall()
            names = [column.name for column in cursor.description or ()]
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingSourceError(
            f"the warehouse refused the training query ({reason}); check HOLDFAST_WAREHOUSE_URL and the query"
        ) from error
    ids = [str(row[names.index("customer_id")]) for row in rows] if "customer_id" in names else [""] * len(rows)
    return FeatureTable.from_rows(ids, names, rows)


def prepare(table: FeatureTable, task: Task, feature_mapping: Mapping[str, str]) -> Dataset:
    """Turn rows into a dataset and check that it can be learned from.

    Raises:
        TrainingDataError: too few rows, one class only, or a column that is unknown, constant or not numeric.
    """
    if len(table) < ROWS_AT_LEAST:
        raise TrainingDataError(
            f"{len(table)} rows to train {task.name} on; {ROWS_AT_LEAST} are needed and {ROWS_RECOMMENDED:,} "
            "recommended: use an earlier start date or more cut-offs"
        )
    try:
        inputs = model_inputs(table, tuple(feature_mapping.values()))
        targets = task.targets(table)
        propensities = numbers("propensity", table.columns.get("propensity", np.full(len(table), np.nan)))
    except ModelInputError as error:
        raise TrainingDataError(str(error)) from error
    _refuse_constants(inputs, feature_mapping)
    warnings = _judge(targets, task)
    dates = _dates(table, task.date_column)
    return Dataset(table, inputs, targets, propensities, dates, warnings)


def split(dataset: Dataset) -> tuple[Dataset, Dataset, str]:
    """Return rows to train on, rows to evaluate on, and how they were split.

    Evaluated on are the latest dates that hold a fifth of the rows together. Rows that carry no dates, or one
    date, are split by a hash of the customer, so that no customer is on both sides.
    """
    days, counts = np.unique(dataset.dates[~np.isnat(dataset.dates)], return_counts=True)
    if len(days) > 1 and counts.sum() == len(dataset):
        from_latest = counts[::-1].cumsum()[::-1]
        first = max(1, int((from_latest >= EVALUATED_SHARE * len(dataset)).sum()) - 1)
        later = dataset.dates >= days[first]
        how = f"evaluated on rows dated {days[first]} or later, trained on earlier ones"
    else:
        ids = dataset.table.customer_ids
        later = np.array([crc32(customer_id.encode()) % 5 == 0 for customer_id in ids], dtype=np.bool_)
        how = "rows carry no two dates: evaluated on a fifth of the customers, trained on the others"
    return dataset.take(~later), dataset.take(later), how


def _refuse_constants(inputs: NDArray[np.float32], feature_mapping: Mapping[str, str]) -> None:
    for position, (name, column) in enumerate(feature_mapping.items()):
        cells = inputs[:, position]
        known = np.unique(cells[~np.isnan(cells)])
        if len(known) < 2:  # noqa: PLR2004 - two values are what a feature needs
            holds = f"always {known[0]:g}" if len(known) else "always null"
            raise TrainingDataError(
                f"column {column!r} (feature {name!r}) is {holds} in the {len(cells):,} training rows; "
                "take it out of ML_FEATURE_MAPPING or train on rows in which it varies"
            )


def _judge(targets: NDArray[np.float32], task: Task) -> tuple[str, ...]:
    observed = targets[targets >= 0]
    if len(np.unique(observed)) < 2:  # noqa: PLR2004 - two classes are what a classifier needs
        raise TrainingDataError(
            f"{task.label!r} has one outcome only in all {len(targets):,} rows: nothing to learn; "
            "check the label, or take rows over a longer time"
        )
    warnings = []
    if len(targets) < ROWS_RECOMMENDED:
        warnings.append(f"only {len(targets):,} rows; {ROWS_RECOMMENDED:,} or more are recommended")
    rate = float(observed.mean())
    low, high = RATE_EXPECTED
    if not low <= rate <= high:
        warnings.append(f"{rate:.1%} of outcomes are positive; probabilities will be poorly determined")
    return tuple(warnings)


def _dates(table: FeatureTable, name: str) -> NDArray[np.datetime64]:
    cells = table.columns.get(name)
    if cells is None:
        return np.full(len(table), "NaT", dtype="datetime64[D]")
    try:
        return np.array([str(plain(cell) or "NaT")[:10] for cell in cells], dtype="datetime64[D]")
    except ValueError as error:
        raise TrainingDataError(f"column {name!r} holds something that is no date ({error}); cast it") from error
