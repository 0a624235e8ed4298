"""Predictions written to a Parquet file, in bounded memory.

Pages go into a table of a DuckDB database next to the file, which holds little of it in memory, and then by row groups
into the file. The file appears by one rename: a reader sees a complete one or none.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from console.errors import PredictionError
from console.use_cases.predictions import predict_segment
from features.csv_extract import quote, quote_text
from models.predictions import column_types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from console.use_cases.predictions import Page, PredictionService
    from features.table import FeatureTable
    from streams.settings import Settings

ROW_GROUP = 100_000
MEMORY = "128MB"
_SQL = {"text": "VARCHAR", "number": "DOUBLE", "integer": "INTEGER", "boolean": "BOOLEAN"}


class PredictionTable:
    """A table on disk that takes pages of predictions and becomes a Parquet file.

    Args:
        folder: holds the database; deleted by the caller.
        types: the type of each column, see models.predictions.column_types.

    Raises:
        PredictionError: the package duckdb is not installed.
    """

    def __init__(self, folder: Path, types: Mapping[str, str]) -> None:
        duckdb = _import_duckdb()
        self._columns = {"customer_id": "VARCHAR", **{name: _SQL[each] for name, each in types.items()}}
        self._connection = duckdb.connect(
            folder / "predictions.duckdb", config={"memory_limit": MEMORY, "threads": "1"}
        )
        declared = ", ".join(f"{quote(name)} {each}" for name, each in self._columns.items())
        self._connection.execute(f"CREATE TABLE predictions ({declared})")

    def add(self, predicted: FeatureTable) -> None:
        """Add the predictions of a page."""
        if not len(predicted):
            return
        ids = np.array(predicted.customer_ids, dtype=object)
        self._connection.register("page", {"customer_id": ids, **predicted.columns})
        # DuckDB takes no NaN for null.
        cells = ", ".join(
            f"CASE WHEN isnan({quote(name)}) THEN NULL ELSE {quote(name)} END" if _is_number(each) else quote(name)
            for name, each in {"customer_id": ids, **predicted.columns}.items()
        )
        self._connection.execute(f"INSERT INTO predictions SELECT {cells} FROM page")  # noqa: S608 - quoted names
        self._connection.unregister("page")

    def write(self, path: Path) -> None:
        """Write the Parquet file."""
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
        self._connection.execute(f"COPY predictions TO {quote_text(str(path))} ({options})")

    def close(self) -> None:
        """Close the database."""
        self._connection.close()


def write_predictions(
    settings: Settings, kind: str, path: Path, segment: str | None, show: Callable[[int], None] = lambda _: None
) -> tuple[int, Sequence[str]]:
    """Write the predictions of a segment or of all customers to a Parquet file; return how many, and the notes on them.

    Args:
        settings: where customers, models and definitions are.
        kind: what to predict.
        path: the file; one that is there is replaced.
        segment: its key, or a definition file; None for all customers.
        show: receives the number of customers read so far.

    Raises:
        PredictionError: the file cannot be written, or the package duckdb is not installed.
        WarehouseError, LedgerUnavailableError, SegmentsError, CampaignError, ModelError: see `predict_segment`.
    """
    count = read = 0
    table: PredictionTable | None = None

    def take(service: PredictionService, page: Page) -> None:
        nonlocal count, read, table
        with _translating(path):
            table = table or PredictionTable(Path(folder), column_types(kind, service.scorers.offers))
            table.add(page.predicted)
        count, read = count + len(page.predicted), read + page.read
        show(read)

    with _translating(path):
        place = tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent)
    with place as folder:
        try:
            notes = predict_segment(settings, kind, segment, take)
            if table is not None:
                with _translating(path):
                    table.write(Path(folder) / path.name)
                    (Path(folder) / path.name).replace(path)
        finally:
            if table is not None:
                table.close()
    return count, notes


@contextmanager
def _translating(path: Path) -> Iterator[None]:
    duckdb = _import_duckdb()
    try:
        yield
    except (OSError, duckdb.Error) as error:
        said = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise PredictionError(f"{path} cannot be written: {said}; choose another --out, or free its disk") from error


def _is_number(cells: Any) -> bool:
    return bool(cells.dtype.kind == "f")


def _import_duckdb() -> Any:
    """Return the package duckdb, which the extra `local` installs.

    Raises:
        PredictionError: it is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PredictionError(
            "Parquet files are written by the package duckdb, which is not installed: install Holdfast with the extra "
            "`local`, or print JSON with --json"
        ) from error
    return duckdb
