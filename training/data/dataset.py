"""Rows to learn from, read from the warehouse and split so that evaluation comes later than training.

Rows are point-in-time correct: features from before a row's date, the label from that date on.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import psycopg
from psycopg import sql

from features.extract_warehouse import SCHEMES
from features.table import FeatureTable, plain
from models.errors import ModelInputError
from models.inputs import FEATURE_MAPPING, model_inputs, numbers
from training.data.categories import learn_categories
from training.data.exposures import read_exposures, require_exposures, require_ledger
from training.data.point_in_time import Orders, choose_cut_offs, take_snapshots
from training.errors import TrainingDataError, TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from numpy.typing import NDArray

    from training.data.point_in_time import Snapshots, Windows
    from training.task import Task

ROWS_AT_LEAST = 50
ROWS_RECOMMENDED = 1000
RATE_EXPECTED = (0.02, 0.98)
EVALUATED_SHARE = 0.2
OTHERS_SHARE = 1 / 3
"""Share of customers kept for evaluation only, where labels overlap in time."""
TABLE_NAME = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")


@dataclass(frozen=True, slots=True)
class OrdersSource:
    """Orders to take snapshots of, in place of a table of labels.

    Attributes:
        relation: a table or a query with columns customer_id, ordered_at and amount.
        windows: how far snapshots look back and ahead.
        cut_offs: how many days to take snapshots on, the last of them to evaluate on.
        step: days between those trained on.
    """

    relation: str
    windows: Windows
    cut_offs: int = 4
    step: int = 30


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from.

    Attributes:
        warehouse_url: the data warehouse.
        feature_mapping: the model's name of each feature, and the column it is in; None for the default, which
            for snapshots of orders is every feature they have.
        start_date: what :start_date stands for in the query.
        query: the user's own SQL; None for the task's own.
        orders: take snapshots of these orders instead.
        window_days: days that a label covers; None for the task's own, or that of the rows.
        input_size: how many features there must be; None for any.
        ledger_url: the ledger, for a task that reads its exposures; None where there is none.
        until: up to when the ledger's outcomes are known; None for a task that does not read them.
        rows: the rows themselves, where they are read already.
    """

    warehouse_url: str
    feature_mapping: Mapping[str, str] | None
    start_date: date
    query: str | None = None
    orders: OrdersSource | None = None
    window_days: int | None = None
    input_size: int | None = None
    ledger_url: str | None = None
    until: datetime | None = None
    rows: FeatureTable | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows to learn from.

    Attributes:
        table: every column read.
        inputs: shape [rows, features], null is NaN.
        targets: shape [rows, outputs]: 1, 0, or -1 where the outcome was not observed.
        propensities: shape [rows], the probability with which the offer was shown; NaN where not logged.
        dates: shape [rows], datetime64[D]; NaT where rows carry no date.
        mapping: the model's name of each feature, and the column it is in, in the order of the inputs.
        window_days: how many days from its date on a row's label covers.
        window_stated: whether the user or the rows said so; otherwise it is the task's default.
        categories: the values known of each feature that is text, by its name; see models/categories.py.
        warnings: what a person should know before trusting the result.
    """

    table: FeatureTable
    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    propensities: NDArray[np.float64]
    dates: NDArray[np.datetime64]
    mapping: Mapping[str, str]
    window_days: int = 0
    window_stated: bool = False
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def coded(self) -> tuple[int, ...]:
        """The positions of the features that are codes of categories."""
        return tuple(place for place, name in enumerate(self.mapping) if name in self.categories)

    def take(self, chosen: NDArray[np.bool_]) -> Dataset:
        """Return the rows where `chosen` is true."""
        return replace(
            self,
            table=self.table.take(np.flatnonzero(chosen)),
            inputs=self.inputs[chosen],
            targets=self.targets[chosen],
            propensities=self.propensities[chosen],
            dates=self.dates[chosen],
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
        TrainingDataError: the rows cannot be learned from; NoExposuresError where there are none yet.
    """
    if source.orders is not None:
        return _prepare_snapshots(source, source.orders, task)
    mapping = dict(FEATURE_MAPPING) if source.feature_mapping is None else source.feature_mapping
    table = read_rows(source, task, tuple(mapping.values())) if source.rows is None else source.rows
    if reads_ledger(source, task):
        require_exposures(table, mapping.values(), source)
    return prepare(table, task, _checked(mapping, source.input_size), source.window_days)


def read_rows(source: Source, task: Task, columns: Sequence[str]) -> FeatureTable:
    """Return the rows of a task: of the user's own query, the ledger's exposures with these facts, or its own query.

    Raises:
        TrainingSourceError: the warehouse, the ledger or the query cannot be used.
        NoExposuresError: no ledger is named.
    """
    if reads_ledger(source, task) and source.until is not None:
        return read_exposures(source, columns, source.until)
    return read_table(source, rows_query(source, task))


def reads_ledger(source: Source, task: Task) -> bool:
    """Return whether the rows of a task come from the ledger."""
    return task.reads_exposures and source.query is None


def check_history(source: Source) -> None:
    """Check that the orders span enough days, before they are read.

    Raises:
        TrainingSourceError: the warehouse or the query cannot be used.
        TrainingDataError: they do not.
    """
    if source.orders is None:
        return
    query = f"SELECT min(ordered_at)::date AS first, max(ordered_at)::date AS last FROM {as_relation(source.orders.relation)}"  # noqa: S608, E501 - the user's own SQL
    span = read_table(source, f"{query} AS orders WHERE ordered_at >= :start_date AND customer_id IS NOT NULL")
    days = np.concatenate([_dates(span, name) for name in ("first", "last")])
    if not np.isnat(days).any():
        found = Orders(np.array(["", ""]), days, np.ones(2))
        choose_cut_offs(found, source.orders.windows, source.orders.cut_offs, source.orders.step)


def rows_query(source: Source, task: Task) -> str:
    """Return the SQL of the rows: the user's own, or the task's.

    Raises:
        TrainingSourceError: there is none.
    """
    if not (source.query or task.query):
        raise TrainingSourceError(
            f"{task.name} has no table of its own: make its rows of orders, with --orders TABLE, or give your own SQL "
            f"in --query or {task.variable}"
        )
    return source.query or task.query.replace("{label}", sql.Identifier(task.label).as_string())


def check_source(source: Source, task: Task) -> None:
    """Refuse a source that a task cannot be trained from, before anything is read.

    Raises:
        TrainingSourceError: the warehouse is an extract.
        NoExposuresError: no ledger is named.
    """
    if reads_ledger(source, task):
        require_ledger(source)
    else:
        check_warehouse(source)


def check_warehouse(source: Source) -> None:
    """Refuse a warehouse that training cannot read.

    Raises:
        TrainingSourceError: it is an extract.
    """
    if source.warehouse_url.partition(":")[0] in SCHEMES:
        raise TrainingSourceError(
            f"training reads PostgreSQL, and HOLDFAST_WAREHOUSE_URL is {source.warehouse_url}; load the history there"
        )


def read_table(source: Source, query: str) -> FeatureTable:
    """Run a query, :start_date filled in, and return its rows.

    Raises:
        TrainingSourceError: the warehouse or the query cannot be used.
    """
    check_warehouse(source)
    # ::start_date would be a cast; percent signs of the user's SQL stand for themselves.
    statement = re.sub(r"(?<!:):start_date\b", "%(start_date)s", query.replace("%", "%%"))
    try:
        # In UTC, so that the day of a timestamp does not depend on the machine.
        with psycopg.connect(source.warehouse_url, connect_timeout=10, options="-c timezone=UTC") as connection:
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


def read_orders(source: Source, relation: str) -> Orders:
    """Read customer, day (UTC) and amount of every order of a table or query.

    Raises:
        TrainingSourceError: the warehouse or the query cannot be used.
        TrainingDataError: an amount is no number, or a day is missing.
    """
    query = f"SELECT customer_id, ordered_at::date, amount::float8 FROM {as_relation(relation)} AS orders"  # noqa: S608 - the user's own SQL
    table = read_table(source, f"{query} WHERE ordered_at >= :start_date AND customer_id IS NOT NULL")
    days = _dates(table, "ordered_at")
    amounts = numbers("amount", table.columns["amount"]) if len(table) else np.empty(0)
    wrong = np.isnat(days) | ~np.isfinite(amounts)
    if wrong.any():
        raise TrainingDataError(
            f"{int(wrong.sum()):,} of {len(table):,} orders have no day or no finite amount, the first of customer "
            f"{table.customer_ids[int(wrong.argmax())]!r}; leave them out in the query given to --orders"
        )
    return Orders(np.array(table.customer_ids, dtype=np.str_), days, amounts)


def as_relation(table_or_query: str) -> str:
    """Return the SQL to select from: the table, or the query in parentheses."""
    text = table_or_query.strip().rstrip(";")
    return text if TABLE_NAME.fullmatch(text) else f"({text})"


def _prepare_snapshots(source: Source, orders_source: OrdersSource, task: Task) -> Dataset:
    if not task.window_days:
        raise TrainingDataError(
            f"{task.label!r}, the label of {task.name}, cannot be made from orders: train {task.name} without --orders"
        )
    orders = read_orders(source, orders_source.relation)
    taken = take_snapshots(
        orders,
        choose_cut_offs(orders, orders_source.windows, orders_source.cut_offs, orders_source.step),
        orders_source.windows,
    )
    mapping = source.feature_mapping
    warnings: tuple[str, ...] = ()
    if mapping is None:
        flat = [name for name, cells in taken.features.items() if len(np.unique(cells[~np.isnan(cells)])) < 2]  # noqa: PLR2004
        mapping = {name: name for name in taken.features if name not in flat}
        warnings = tuple(f"the feature {name} is constant and was left out" for name in flat)
    table = _as_table(taken)
    dataset = prepare(table, task, _checked(mapping, source.input_size), orders_source.windows.prediction)
    return replace(dataset, warnings=(*warnings, *dataset.warnings))


def _as_table(taken: Snapshots) -> FeatureTable:
    labels = {
        "snapshot_date": taken.cut_off,
        "churned": taken.churned,
        "spend": taken.spend,
        "days_to_next_purchase": taken.wait,
    }
    return FeatureTable(tuple(taken.customer.tolist()), {**taken.features, **labels})


def _checked(mapping: Mapping[str, str], size: int | None) -> Mapping[str, str]:
    if size is not None and size != len(mapping):
        raise TrainingDataError(
            f"ML_MODEL_INPUT_SIZE is {size}, but the model would have {len(mapping)} features "
            f"({', '.join(mapping)}); make ML_FEATURE_MAPPING agree, or leave the size out"
        )
    return mapping


def prepare(
    table: FeatureTable, task: Task, feature_mapping: Mapping[str, str], window_days: int | None = None
) -> Dataset:
    """Turn rows into a dataset and check that it can be learned from.

    Refused is what cannot be learned from or is almost surely a fault of the query; warned of is what may be
    right and makes the result weak. Whether it is good enough is for the gates to say.

    Raises:
        TrainingDataError: under 50 rows, one outcome only, or a column that is unknown, constant, always null, or
            neither numbers nor text of which values recur.
    """
    if len(table) < ROWS_AT_LEAST:
        raise TrainingDataError(
            f"{len(table)} rows to train {task.name} on; {ROWS_AT_LEAST} are needed and {ROWS_RECOMMENDED:,} "
            "recommended: use an earlier start date or more cut-offs"
        )
    try:
        days = _window(table, task, window_days)
        categories = learn_categories(table, feature_mapping)
        by_column = {feature_mapping[name]: known for name, known in categories.items()}
        inputs = model_inputs(table, tuple(feature_mapping.values()), by_column)
        targets = task.over(days).targets(table)
        propensities = numbers("propensity", table.columns.get("propensity", np.full(len(table), np.nan)))
    except ModelInputError as error:
        raise TrainingDataError(str(error)) from error
    _refuse_constants(inputs, feature_mapping)
    return Dataset(
        table=table,
        inputs=inputs,
        targets=targets,
        propensities=propensities,
        dates=_dates(table, task.date_column),
        mapping=feature_mapping,
        window_days=days,
        categories=categories,
        window_stated=window_days is not None or task.window_column in table.columns,
        warnings=_check_outcomes(targets, task),
    )


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to learn from and later rows to look at.

    Attributes:
        earlier: rows to train on.
        later: rows to evaluate on.
        how: by what they were split, in words.
        overlapping: whether labels on both sides cover some of the same days.
        in_time: whether the later rows have later dates.
    """

    earlier: Dataset
    later: Dataset
    how: str
    overlapping: bool
    in_time: bool = True

    def fingerprint(self) -> str:
        """Return the SHA-256 of both sides' inputs, targets and dates."""
        return hashlib.sha256((self.earlier.fingerprint() + self.later.fingerprint()).encode()).hexdigest()


def split(dataset: Dataset, salt: str = "") -> Split:
    """Split so that evaluation comes later than training; see `split_at`.

    Evaluated on are the latest dates that hold a fifth of the rows together. Rows that carry no dates, or one
    date, are split by a hash of the customer, so that no customer is on both sides.

    Args:
        dataset: rows to split.
        salt: chooses other customers, for a split within a split.
    """
    days, counts = np.unique(dataset.dates[~np.isnat(dataset.dates)], return_counts=True)
    if len(days) > 1 and counts.sum() == len(dataset):
        from_latest = counts[::-1].cumsum()[::-1]
        first = max(1, int((from_latest >= EVALUATED_SHARE * len(dataset)).sum()) - 1)
        return split_at(dataset, days[first], salt=salt)
    later = _draw_customers(dataset, EVALUATED_SHARE, salt)
    how = "rows carry no two dates: evaluated on a fifth of the customers, trained on the others"
    return Split(dataset.take(~later), dataset.take(later), how, overlapping=False, in_time=False)


def split_at(dataset: Dataset, day: np.datetime64, until: np.datetime64 | None = None, salt: str = "") -> Split:
    """Return rows dated `day` or later, and those before it whose labels were complete by then.

    Where too few were, the labels on both sides cover some of the same days, and a model that remembers a
    customer would know part of the answer. Then all earlier dates are trained on, and customers are divided, too:
    evaluated on are those that were not trained on.

    Args:
        dataset: rows with dates.
        day: where the later rows begin.
        until: the first date to leave out of the later rows.
        salt: see `split`.
    """
    later = dataset.dates >= day if until is None else (dataset.dates >= day) & (dataset.dates < until)
    known = dataset.dates + np.timedelta64(max(dataset.window_days, 1), "D") <= day
    if is_learnable(dataset.targets[known]):
        return _split(dataset, known, later, f"rows dated {day} or later")
    earlier = dataset.dates < day
    if not dataset.window_days:
        return _split(dataset, earlier, later, f"rows dated {day} or later")
    others = _draw_customers(dataset, OTHERS_SHARE, salt)
    which = f"rows dated {day} or later of customers not trained on"
    return replace(_split(dataset, earlier & ~others, later & others, which), overlapping=True)


def _split(dataset: Dataset, earlier: NDArray[np.bool_], later: NDArray[np.bool_], which: str) -> Split:
    trained = f"trained on rows dated {dataset.dates[earlier].max()} or earlier" if earlier.any() else "trained on none"
    return Split(dataset.take(earlier), dataset.take(later), f"evaluated on {which}, {trained}", overlapping=False)


def require_both_sides(halves: Split) -> None:
    """Check that there is something to train on and something to look at.

    Raises:
        TrainingDataError: there is not.
    """
    if not len(halves.later) or not is_learnable(halves.earlier.targets):
        raise TrainingDataError(
            f"a split in time leaves {len(halves.earlier):,} rows to train on and {len(halves.later):,} to evaluate on "
            f"({halves.how}); {ROWS_AT_LEAST} with both outcomes are needed before the evaluation: add earlier dates, "
            "and a column customer_id where rows carry none"
        )


def _draw_customers(dataset: Dataset, share: float, salt: str) -> NDArray[np.bool_]:
    customers, place = np.unique(np.array(dataset.table.customer_ids, dtype=np.str_), return_inverse=True)
    # Not a CRC, of which another salt turns all by the same bits.
    digests = b"".join(hashlib.blake2b(f"{salt}:{each}".encode(), digest_size=8).digest() for each in customers)
    drawn = np.frombuffer(digests, dtype="<u8") / 2.0**64 < share
    chosen: NDArray[np.bool_] = drawn[place]
    return chosen


def is_learnable(targets: NDArray[np.float32]) -> bool:
    """Tell whether targets are enough rows, and not all of one outcome."""
    return len(targets) >= ROWS_AT_LEAST and len(np.unique(targets[targets >= 0] > 0)) > 1


def _window(table: FeatureTable, task: Task, given: int | None) -> int:
    if given is not None:
        return given
    if task.window_column not in table.columns:
        return task.window_days
    days = np.unique(numbers(task.window_column, table.columns[task.window_column]))
    if len(days) != 1 or not days[0] >= 1:
        raise TrainingDataError(
            f"column {task.window_column!r} holds {', '.join(f'{each:g}' for each in days[:5])}; "
            "rows of one run need labels over one number of days: choose one in the query"
        )
    return int(days[0])


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


def _check_outcomes(targets: NDArray[np.float32], task: Task) -> tuple[str, ...]:
    observed = targets[targets >= 0]
    if len(np.unique(observed > 0)) < 2:  # noqa: PLR2004 - two classes are what a classifier needs
        raise TrainingDataError(
            f"{task.label!r} has one outcome only in all {len(targets):,} rows: nothing to learn; "
            "check the label, or take rows over a longer time"
        )
    warnings = []
    if len(targets) < ROWS_RECOMMENDED:
        warnings.append(
            f"only {len(targets):,} rows; {ROWS_RECOMMENDED:,} or more are recommended: use an earlier start date "
            "or more cut-offs"
        )
    rate = float((observed > 0).mean())
    low, high = RATE_EXPECTED
    if not low <= rate <= high:
        warnings.append(
            f"{rate:.1%} of outcomes are positive, outside {low:.0%} to {high:.0%}; probabilities will be poorly "
            "determined: check how the label is defined, or take a longer prediction window"
        )
    return tuple(warnings)


def _dates(table: FeatureTable, name: str) -> NDArray[np.datetime64]:
    cells = table.columns.get(name)
    if cells is None:
        return np.full(len(table), "NaT", dtype="datetime64[D]")
    if cells.dtype.kind == "M":
        return cells.astype("datetime64[D]")
    try:
        return np.array([str(plain(cell) or "NaT")[:10] for cell in cells], dtype="datetime64[D]")
    except ValueError as error:
        raise TrainingDataError(f"column {name!r} holds something that is no date ({error}); cast it") from error
