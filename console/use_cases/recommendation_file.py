"""Recommendations written to a Parquet or JSON file, in bounded memory.

The file appears by one rename when it is complete: a reader sees a whole one or none.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from console.use_cases.prediction_file import PredictionTable
from features.table import FeatureTable
from intelligence.errors import RecommendationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from intelligence.recommendations.recommender import Recommended

    Add = Callable[[Recommended], None]

COLUMNS = {
    "rank": "integer",
    "product_id": "text",
    "name": "text",
    "category": "text",
    "price": "number",
    "score": "number",
    "bought_before": "boolean",
    "reason": "text",
}
PAGE = 20_000
"""Rows of Parquet that are kept in memory."""


@contextmanager
def open_file(path: Path) -> Iterator[Add]:
    """Lend a function that adds the recommendations of a customer to a file, which replaces a former one at the end.

    Args:
        path: a .parquet file, with a row for each recommendation, or a .json file, with an object `recommendations`
            that has a list for each customer.

    Raises:
        RecommendationError: the file cannot be written.
        PredictionError: it is Parquet, and the package duckdb is not installed.
    """
    if path.suffix not in _WRITERS:
        raise RecommendationError(f"{path} ends with neither .parquet nor .json; name such a file with --out")
    try:
        place = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise RecommendationError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    with place as folder:
        part = Path(folder) / path.name
        with _WRITERS[path.suffix](part) as add:
            yield add
        part.replace(path)


@contextmanager
def _write_json(part: Path) -> Iterator[Add]:
    with part.open("w", encoding="utf-8") as file:
        separator = "\n"

        def add(recommended: Recommended) -> None:
            nonlocal separator
            described = json.dumps(recommended.recommendations, ensure_ascii=False)
            file.write(f"{separator}{json.dumps(recommended.customer_id, ensure_ascii=False)}: {described}")
            separator = ",\n"

        file.write('{"recommendations": {')
        yield add
        file.write("\n}}\n")


@contextmanager
def _write_parquet(part: Path) -> Iterator[Add]:
    table = PredictionTable(part.parent, COLUMNS)
    waiting: list[tuple[Any, ...]] = []

    def add(recommended: Recommended) -> None:
        waiting.extend(
            (recommended.customer_id, rank, *(each[name] for name in list(COLUMNS)[1:]))
            for rank, each in enumerate(recommended.recommendations, 1)
        )
        if len(waiting) >= PAGE:
            table.add(_make_page(waiting))
            waiting.clear()

    try:
        yield add
        if waiting:
            table.add(_make_page(waiting))
        table.write(part)
    finally:
        table.close()


def _make_page(rows: Sequence[tuple[Any, ...]]) -> FeatureTable:
    ids, *cells = zip(*rows, strict=True)
    dtypes = {"number": np.float64, "integer": np.int32, "boolean": np.bool_, "text": object}
    columns = {
        name: np.array(cell, dtype=dtypes[kind]) for (name, kind), cell in zip(COLUMNS.items(), cells, strict=True)
    }
    return FeatureTable(ids, columns)


_WRITERS = {".json": _write_json, ".parquet": _write_parquet}
