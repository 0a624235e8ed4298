"""Concepts that notes on clients mention, read from a CSV file."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from intelligence.analytics.csv_rows import CLIENT, read_number, read_rows
from intelligence.analytics.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intelligence.analytics.csv_rows import Account, Names

CONCEPT: Names = ("concept", "concept_name", "concept_label", "label", "tag", "term", "concept_id")
NOTE: Names = ("note_id", "note", "noteid", "source_id")
DATE: Names = ("date", "note_date", "noted_at", "created_at", "occurred_at", "timestamp")
WEIGHT: Names = ("weight", "mentions", "count", "score", "confidence")
OTHER_DATES = ("%d.%m.%Y", "%d/%m/%Y")


@dataclass(frozen=True, slots=True)
class Mentions:
    """Mentions of concepts, one for each row of a file.

    Attributes:
        clients: the ids, in the order of their first mention.
        concepts: the names as `fold_name` writes them, in alphabetical order.
        client: the place of each mention's client, shape [mentions].
        concept: the place of each mention's concept.
        note: a number for each note of a client; -1 without one.
        weight: how much each mention counts, 1 by default.
        first, last: the dates of the first and the last mention, as "2026-03-01"; None without dates.
    """

    clients: Sequence[str]
    concepts: Sequence[str]
    client: NDArray[np.int64]
    concept: NDArray[np.int64]
    note: NDArray[np.int64]
    weight: NDArray[np.float64]
    first: str | None = None
    last: str | None = None

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> Mentions:
        """Return mentions of pairs of client and concept, each of weight 1."""
        return _collect([(client, fold_name(concept), "", 1.0) for client, concept in rows], [])

    def counts(self) -> csr_matrix:
        """Return how often each client mentions each concept, weighted, shape [clients, concepts]."""
        shape = (len(self.clients), len(self.concepts))
        return csr_matrix((self.weight, (self.client, self.concept)), shape=shape)


def fold_name(text: str) -> str:
    """Return a concept's name in lower case, in the composed form of Unicode and with single blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def read_mentions(path: Path) -> tuple[Mentions, Account]:
    """Read a CSV file of concepts.

    Rows without client or concept, or whose weight is no positive number, are left out and counted. An unreadable date
    is counted, and the row is used.

    Raises:
        InputFileError: the file cannot be read, lacks a column, or no row is left.
    """
    file = read_rows(path, {"client_id": CLIENT, "concept": CONCEPT}, {"note": NOTE, "date": DATE, "weight": WEIGHT})
    rows, dates = [], []
    for line, cells in file.lines:
        client, concept = cells["client_id"], fold_name(cells["concept"])
        weight = read_number(cells["weight"], file.separator) if cells.get("weight") else 1.0
        if not client or not concept:
            file.account.note(f"without {'a concept' if client else 'a client id'} are left out", line)
            continue
        if weight is None or weight <= 0:
            file.account.note("whose weight is no positive number are left out", line)
            continue
        if cells.get("date"):
            day = _read_date(cells["date"])
            if day is None:
                file.account.note("have a date that cannot be read; the date is ignored", line)
            else:
                dates.append(day)
        rows.append((client, concept, cells.get("note", ""), weight))
    file.account.used = len(rows)
    if not rows:
        raise InputFileError(f"{path} has no row with a client and a concept; check that it is the right file")
    return _collect(rows, dates), file.account


def _collect(rows: Sequence[tuple[str, str, str, float]], dates: Sequence[str]) -> Mentions:
    clients = {client: place for place, client in enumerate(dict.fromkeys(row[0] for row in rows))}
    concepts = {concept: place for place, concept in enumerate(sorted({row[1] for row in rows}))}
    # A note's number may be used again for another client.
    notes = {key: place for place, key in enumerate(dict.fromkeys((row[0], row[2]) for row in rows if row[2]))}
    return Mentions(
        tuple(clients),
        tuple(concepts),
        np.array([clients[row[0]] for row in rows]),
        np.array([concepts[row[1]] for row in rows]),
        np.array([notes[row[0], row[2]] if row[2] else -1 for row in rows]),
        np.array([row[3] for row in rows]),
        min(dates, default=None),
        max(dates, default=None),
    )


def _read_date(cell: str) -> str | None:
    try:
        return datetime.fromisoformat(cell).date().isoformat()
    except ValueError:
        pass
    for form in OTHER_DATES:
        try:
            return datetime.strptime(cell[:10], form).date().isoformat()  # noqa: DTZ007 - only the day is used
        except ValueError:
            continue
    return None
