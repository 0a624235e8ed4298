"""Leads in a CSV file: lead_id, the features under any of their names, and for training `converted` and `date`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from models.errors import LeadFileError
from models.leads import ALIASES, FEATURES, LeadFeatures

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from models.leads import Lead

ID_COLUMN, LABEL_COLUMN, DATE_COLUMN = "lead_id", "converted", "date"
_KNOWN = (*FEATURES, *ALIASES)
LARGEST_BYTES = 512 * 2**20


@dataclass(frozen=True, slots=True)
class FileLead:
    """A line of the file.

    Attributes:
        lead_id: the lead.
        features: by their first names; an empty cell is unknown.
        converted: the cell of that column; empty without one.
        date: likewise.
    """

    lead_id: str
    features: Lead
    converted: str = ""
    date: str = ""


def read_leads(path: Path) -> list[FileLead]:
    """Return the leads of a file, each line one.

    Raises:
        LeadFileError: the file or a line cannot be read; the message says which.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise LeadFileError(f"{path}: over {LARGEST_BYTES:,} bytes; split it")
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_read(path, csv.DictReader(file, strict=True)))
    except OSError as error:
        raise LeadFileError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise LeadFileError(f"{path}: not UTF-8 (byte {error.start:,}); save it as UTF-8") from error
    except csv.Error as error:
        raise LeadFileError(f"{path}: not CSV ({error}); separate columns by commas") from error


def _read(path: Path, rows: csv.DictReader[str]) -> Iterator[FileLead]:
    columns = rows.fieldnames or ()
    if ID_COLUMN not in columns or not set(columns) & set(_KNOWN):
        found = ", ".join(columns) or "none"
        raise LeadFileError(
            f"{path}: the columns are {found}; needed are {ID_COLUMN} and at least one of {', '.join(_KNOWN)}"
        )
    seen: dict[str, int] = {}
    for row in rows:
        if None in row:
            raise LeadFileError(
                f"{path}, line {rows.line_num}: more cells than the header, {len(columns)}; quote cells with a comma"
            )
        lead_id = row[ID_COLUMN] or ""
        if not lead_id.strip() or not lead_id.isprintable():
            raise LeadFileError(f"{path}, line {rows.line_num}: {ID_COLUMN} is {lead_id!r}; it must be plain text")
        if lead_id in seen:
            raise LeadFileError(f"{path}, line {rows.line_num}: lead {lead_id!r} is in line {seen[lead_id]}, too")
        seen[lead_id] = rows.line_num
        features = _convert(path, rows.line_num, row)
        yield FileLead(lead_id, features, row.get(LABEL_COLUMN) or "", row.get(DATE_COLUMN) or "")


def _convert(path: Path, line: int, row: Mapping[str, str | None]) -> Lead:
    cells = {name: cell.strip() for name in _KNOWN if (cell := row.get(name)) and cell.strip()}
    try:
        read = msgspec.convert(cells, LeadFeatures, strict=False)
    except msgspec.ValidationError as error:
        raise LeadFileError(f"{path}, line {line}: {error}") from error
    if problem := read.find_problem():
        raise LeadFileError(f"{path}, line {line}: {problem}")
    return read.features
