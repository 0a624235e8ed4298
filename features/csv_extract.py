"""CSV files as columns with types, by rules that do not guess.

Every row must have the columns of the header. A column is of the first kind that all its cells are of: true or false;
numbers; timestamps in ISO 8601, with a zone or without; else it is text, as it is written. So Yes and No are text, as
are 01234, 01/02/2020 and a column with a whole number that is too long for a double. A cell that is empty or blank is
null.

DuckDB could find the types by itself, but it takes F for false, 01234 for 1234, one of two readings of 01/02/2020, and
leaves out rows that do not fit.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from features.errors import WarehouseLayoutError
from features.table import EXACT_BELOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from duckdb import DuckDBPyConnection

_DELIMITERS = (",", ";", "\t", "|")
_NUMBER = r"\s*[+-]?(0|[1-9]\d*)?(\.\d+)?([eE][+-]?\d+)?\s*"
_WHOLE = r"\s*[+-]?\d+\s*"
_LOCAL = r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"
_ZONED = _LOCAL + r"(Z|[+-]\d\d(:?\d\d)?)"
# The form of a cell for each type; it must be possible to convert it, too.
_FORMS = {
    "BOOLEAN": "(?i)true|false",
    "DOUBLE": _NUMBER,
    "TIMESTAMP": _LOCAL,
    "TIMESTAMP WITH TIME ZONE": _ZONED,
}


class Header(NamedTuple):
    """The first line of a CSV file."""

    delimiter: str
    names: Sequence[str]


def read_header(files: Sequence[str]) -> Header:
    """Return the header of CSV files; the delimiter is the one that appears most often in it.

    Raises:
        WarehouseLayoutError: two files have different headers, or two columns the same name.
        OSError: a file cannot be read.
    """
    header = _read_first_line(files[0])
    for file in files[1:]:
        if _read_first_line(file) != header:
            raise WarehouseLayoutError(f"{file} has other columns than {files[0]}; write them with the same first line")
    for number, name in enumerate(header.names):
        if same := [other for other in header.names[:number] if other.lower() == name.lower()]:
            raise WarehouseLayoutError(f"{files[0]} has columns {same[0]!r} and {name!r}; rename one of them")
    return header


def load_csv(connection: DuckDBPyConnection, path: str, header: Header, table: str) -> None:
    """Create a table of the files' rows, all columns text, blank cells null.

    Args:
        connection: where to create it.
        path: the path, or a pattern.
        header: of all files.
        table: the name of the table.

    Raises:
        duckdb.Error: a row has other columns than the header, or is not in UTF-8.
    """
    columns = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header.names)
    dialect = f"header = true, skip = 0, delim = {quote_text(header.delimiter)}, quote = '\"', escape = '\"'"
    source = (
        f"read_csv({quote_text(path)}, {dialect}, strict_mode = true, auto_detect = false, columns = {{{columns}}})"
    )
    values = ", ".join(
        f"CASE WHEN trim({quote(name)}) <> '' THEN {quote(name)} END AS {quote(name)}" for name in header.names
    )
    connection.execute(f"CREATE TABLE {table} AS SELECT {values} FROM {source}")  # noqa: S608 - quoted


def find_types(connection: DuckDBPyConnection, table: str, names: Sequence[str]) -> Mapping[str, str]:
    """Return the DuckDB type of each column of a table of texts: that of all its cells, else VARCHAR."""
    tests = [
        f"bool_and({_write_test(name, type_name)}) FILTER (WHERE {quote(name)} IS NOT NULL)"
        for name in names
        for type_name in _FORMS
    ]
    found = connection.execute(f"SELECT {', '.join(tests)} FROM {table}").fetchall()[0]  # noqa: S608 - quoted
    width = len(_FORMS)
    parts = [found[first : first + width] for first in range(0, len(found), width)]
    return {
        name: next((type_name for type_name, holds in zip(_FORMS, part, strict=True) if holds), "VARCHAR")
        for name, part in zip(names, parts, strict=True)
    }


def _write_test(name: str, type_name: str) -> str:
    cell, form = quote(name), quote_text(_FORMS[type_name])
    test = f"regexp_full_match({cell}, {form}) AND TRY_CAST({cell} AS {type_name}) IS NOT NULL"
    if type_name == "DOUBLE":
        is_whole = f"regexp_full_match({cell}, {quote_text(_WHOLE)})"
        test += f" AND NOT ({is_whole} AND abs(TRY_CAST({cell} AS DOUBLE)) >= {EXACT_BELOW})"
    return test


def _read_first_line(file: str) -> Header:
    with Path(file).open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        line = lines.readline()
    split = [Header(each, next(csv.reader([line], delimiter=each), [])) for each in _DELIMITERS]
    delimiter, names = max(split, key=lambda header: len(header.names))
    # As pandas writes it, the column of its index has no name.
    return Header(delimiter, [name or f"column{number}" for number, name in enumerate(names)])


def quote(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"
