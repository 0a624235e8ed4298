"""CSV files of any usual encoding and separator, with an account of every row that is not used.

A row is used, or it is counted in the account with the reason and the first line numbers: none is lost in silence.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intelligence.analytics.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SEPARATORS = (",", ";", "\t", "|")
LINES_SHOWN = 5
LARGEST_CELL = 2**24
"""Characters; the limit of the csv module is the process's."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CLIENT = ("client_id", "customer_id", "client", "customer", "clientid", "customerid")

Names = Sequence[str]
"""The names under which a column may stand in a header; the first that is there is read."""

CLIENT: Names = _CLIENT


@dataclass(slots=True)
class Account:
    """What became of the rows of a file.

    Attributes:
        file: its path.
        encoding: how its bytes were read.
        rows: rows under the header that are not blank.
        used: rows that count.
        columns: the header's name for each column that is read.
        problems: line numbers by reason: of rows that are left out, or read with something missing.
    """

    file: str
    encoding: str = "utf-8"
    rows: int = 0
    used: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[int]] = field(default_factory=dict)

    def note(self, why: str, line: int) -> None:
        """Count a row under a reason."""
        self.problems.setdefault(why, []).append(line)

    def as_json(self) -> dict[str, Any]:
        """Return the account as a JSON object."""
        problems = [
            {"what": why, "rows": len(lines), "lines": lines[:LINES_SHOWN]} for why, lines in self.problems.items()
        ]
        return {
            "file": self.file,
            "encoding": self.encoding,
            "columns": self.columns,
            "rows": self.rows,
            "used": self.used,
            "problems": problems,
        }

    def sentences(self) -> list[str]:
        """Return a sentence for each reason, for people."""
        found = [] if self.encoding.startswith("utf") else [f"{self.file} is not UTF-8 and was read as {self.encoding}"]
        for why, lines in self.problems.items():
            shown = ", ".join(map(str, lines[:LINES_SHOWN])) + (", ..." if len(lines) > LINES_SHOWN else "")
            found.append(f"{self.file}: {len(lines):,} {'row' if len(lines) == 1 else 'rows'} {why} (line {shown})")
        return found


@dataclass(frozen=True, slots=True)
class CsvFile:
    """The rows of a CSV file.

    Attributes:
        account: what became of them; the reader of the rows completes it.
        separator: the character between cells.
        lines: line number and cells by column, blank cells as "".
    """

    account: Account
    separator: str
    lines: Sequence[tuple[int, Mapping[str, str]]]


def read_rows(path: Path, required: Mapping[str, Names], optional: Mapping[str, Names]) -> CsvFile:
    """Read a CSV file with a header.

    Args:
        path: the file.
        required: columns that must be there, with their names in the header.
        optional: columns that may be there.

    Raises:
        InputFileError: it cannot be read, is empty, lacks a required column or has it twice, or a quote does not end.
    """
    text, encoding = _decode(path)
    header_line = next((line for line in text.splitlines() if line.strip()), "")
    if not header_line:
        raise InputFileError(f"{path} is empty; its first line must name the columns {', '.join(required)}")
    separator = max(SEPARATORS, key=header_line.count)
    account = Account(str(path), encoding)
    rows = _parse(path, text, separator)
    _, header = next(rows)
    places = _find_columns(path, header, required, optional)
    account.columns = {name: header[place].strip() for name, place in places.items()}
    lines = []
    for line, cells in rows:
        account.rows += 1
        if len(cells) > len(header):
            account.note("have more cells than the header and are left out", line)
            continue
        filled = [*cells, *[""] * (len(header) - len(cells))]
        lines.append((line, {name: filled[place].strip() for name, place in places.items()}))
    return CsvFile(account, separator, lines)


def read_number(cell: str, separator: str) -> float | None:
    """Return the number in a cell, None if there is none.

    A comma is the decimal mark in files separated by semicolons, if there is one comma and no point; else commas
    separate thousands. Currency signs and blanks around the number are ignored.
    """
    bare = re.sub(r"[\s\u00a0\u202f$€£¥]", "", cell)
    if separator == ";" and bare.count(",") == 1 and "." not in bare:
        bare = bare.replace(",", ".")
    elif re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?", bare):
        bare = bare.replace(",", "")
    return float(bare) if re.fullmatch(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", bare) else None


def _decode(path: Path) -> tuple[str, str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputFileError(f"{path} cannot be read: {error.strerror}; check the path") from error
    if raw.startswith(_UTF_16):
        try:
            return raw.decode("utf-16"), "utf-16"
        except UnicodeDecodeError as error:
            raise InputFileError(f"{path} begins as UTF-16 and is not; save it as UTF-8") from error
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        # Latin-1 as programs of Windows write it; bytes that it does not have are control characters of Latin-1.
        try:
            return raw.decode("cp1252"), "cp1252 (Latin-1)"
        except UnicodeDecodeError:
            return raw.decode("latin-1"), "latin-1"


def _parse(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which each row begins, and its cells; blank rows are skipped.

    Raises:
        InputFileError: the quotes of a row are wrong.
    """
    csv.field_size_limit(LARGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputFileError(
                f"{path}, the row of line {line} cannot be read: {error}; check its quotes, a quote inside a cell is "
                "written twice"
            ) from error
        if any(each.strip() for each in cells):
            yield line, cells


def _find_columns(
    path: Path, header: Sequence[str], required: Mapping[str, Names], optional: Mapping[str, Names]
) -> dict[str, int]:
    names = [re.sub(r"[\s-]+", "_", each.strip().lower()) for each in header]
    places = {}
    for column, accepted in {**required, **optional}.items():
        name = next((each for each in accepted if each in names), None)
        if name is None:
            if column in required:
                raise InputFileError(
                    f"{path} has no column {accepted[0]} (nor {', '.join(accepted[1:]) or 'another name for it'}); "
                    f"its columns are {', '.join(each.strip() for each in header)}: rename one"
                )
            continue
        if names.count(name) > 1:
            raise InputFileError(f"{path} has the column {name} twice; rename or remove one")
        places[column] = names.index(name)
    return places
