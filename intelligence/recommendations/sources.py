"""Reads the catalogue and purchases from a CSV file, or from a table or query of a PostgreSQL warehouse."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from features.extract_warehouse import SCHEMES
from intelligence.errors import RecommendationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

PAGE = 20_000
_DELIMITERS = (",", ";", "\t", "|")
_QUERY = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_TABLE = re.compile(r"[A-Za-z_][\w$]*(\.[A-Za-z_][\w$]*)?")
_WIDEST_CELL = 2**24


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from.

    Attributes:
        address: a path that ends with .csv or .csv.gz; otherwise a table or a query of the warehouse.
        warehouse_url: the warehouse.
        renames: the source's name of a column, by ours.
        encoding: of a file.
    """

    address: str
    warehouse_url: str
    renames: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"

    @property
    def is_file(self) -> bool:
        """Whether rows come from a CSV file."""
        return self.address.endswith((".csv", ".csv.gz"))


def read_rows(source: Source, columns: Sequence[str], required: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a source; an optional column that it lacks is None. Few rows are in memory at a time.

    Args:
        source: where they come from.
        columns: our names of the columns, in the order of the values.
        required: those that there must be.

    Raises:
        RecommendationError: the source cannot be read or lacks a column.
    """
    rows = _read_file(source) if source.is_file else _read_warehouse(source)
    names = next(rows)
    renamed = [source.renames.get(each, each) for each in columns]
    # A renaming may be meant for the other source.
    wanted = [name if name in names or ours not in names else ours for ours, name in zip(columns, renamed, strict=True)]
    missing = [name for ours, name in zip(columns, wanted, strict=True) if ours in required and name not in names]
    if missing:
        raise RecommendationError(
            f"{source.address} has no column {missing[0]}; its columns are {', '.join(map(str, names))}: rename one in "
            "the query, or for a file with --rename"
        )
    places = [names.index(each) if each in names else None for each in wanted]
    for row in rows:
        yield tuple(None if place is None else row[place] for place in places)


def _read_file(source: Source) -> Iterator[Sequence[Any]]:
    csv.field_size_limit(_WIDEST_CELL)
    path = Path(source.address)
    with _explaining(source), _open(path, source.encoding) as file:
        head = file.readline()
        delimiter = max(_DELIMITERS, key=head.count)
        names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter, strict=True), [])]
        yield names
        for number, row in enumerate(csv.reader(file, delimiter=delimiter, strict=True), 2):
            if row and len(row) != len(names):
                raise RecommendationError(
                    f"{path}: row {number} has {len(row)} cells, and the header {len(names)}; put cells with a "
                    f"{delimiter!r} into double quotes"
                )
            if row:
                yield row


def _open(path: Path, encoding: str) -> io.TextIOWrapper:
    codecs.lookup(encoding)  # before the file is open
    raw = gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # noqa: SIM115 - the wrapper closes it
    return io.TextIOWrapper(raw, encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="")


@contextmanager
def _explaining(source: Source) -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        raise RecommendationError(f"{source.encoding!r} is no encoding; name one as latin-1 or cp1252") from error
    except UnicodeDecodeError as error:
        raise RecommendationError(
            f"{source.address} is not in {source.encoding} (byte {error.object[error.start]:#04x}); name its encoding "
            "with --encoding, as latin-1 or cp1252"
        ) from error
    except (OSError, EOFError, csv.Error) as error:
        said = getattr(error, "strerror", None) or error
        raise RecommendationError(f"{source.address} cannot be read: {said}; check the path and the file") from error


def _read_warehouse(source: Source) -> Iterator[Sequence[Any]]:
    if source.warehouse_url.partition(":")[0] in SCHEMES:
        raise RecommendationError(
            f"{source.address} is a table, and HOLDFAST_WAREHOUSE_URL names a file; name CSV files with --catalog and "
            "--purchases"
        )
    query = _write_query(source.address)
    try:
        with (
            psycopg.connect(source.warehouse_url, connect_timeout=10) as connection,
            connection.cursor(name="recommendations") as cursor,
        ):
            connection.read_only = True
            cursor.itersize = PAGE
            cursor.execute(query)
            yield [column.name for column in cursor.description or ()]
            yield from cursor
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise RecommendationError(
            f"{source.address} cannot be read from the warehouse: {reason}; see DWH_CATALOG and DWH_PURCHASES in "
            "docs/settings.md"
        ) from error


def _write_query(address: str) -> sql.Composed | sql.SQL:
    if _QUERY.match(address):
        return sql.SQL(address)  # the operator's own query
    if not _TABLE.fullmatch(address):
        raise RecommendationError(
            f"{address!r} is no table, no query that begins with SELECT and no file that ends with .csv or .csv.gz"
        )
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(*address.split(".")))
