"""Concepts that notes on clients mention, read from a CSV file."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

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
        day: the date of each mention as datetime64[D], NaT where it is unknown.
    """

    clients: Sequence[str]
    concepts: Sequence[str]
    client: NDArray[np.int64]
    concept: NDArray[np.int64]
    note: NDArray[np.int64]
    weight: NDArray[np.float64]
    day: NDArray[np.datetime64]

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> Mentions:
        """Return mentions of pairs of client and concept, each of weight 1."""
        return _collect([_Row(client, fold_name(concept)) for client, concept in rows])

    @property
    def period(self) -> tuple[str, str] | None:
        """The days of the first and the last mention, as "2026-03-01"; None without dates."""
        known = self.day[~np.isnat(self.day)]
        return (str(known.min()), str(known.max())) if len(known) else None

    def before(self, days: NDArray[np.datetime64]) -> Mentions:
        """Return the mentions before a day of each client, shape [clients]; all where the client's day is NaT.

        Mentions without a date are kept.
        """
        kept = ~(self.day >= days[self.client])
        rows = {name: getattr(self, name)[kept] for name in ("client", "concept", "note", "weight", "day")}
        return replace(self, **rows)

    def counts(self) -> csr_matrix:
        """Return how often each client mentions each concept, weighted, shape [clients, concepts]."""
        shape = (len(self.clients), len(self.concepts))
        return csr_matrix((self.weight, (self.client, self.concept)), shape=shape)


class _Row(NamedTuple):
    client: str
    concept: str
    note: str = ""
    weight: float = 1.0
    day: str | None = None


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
    rows = []
    for line, cells in file.lines:
        client, concept = cells["client_id"], fold_name(cells["concept"])
        weight = read_number(cells["weight"], file.separator) if cells.get("weight") else 1.0
        if not client or not concept:
            file.account.note(f"without {'a concept' if client else 'a client id'} are left out", line)
            continue
        if weight is None or weight <= 0:
            file.account.note("whose weight is no positive number are left out", line)
            continue
        day = read_day(cells.get("date", ""))
        if cells.get("date") and day is None:
            file.account.note("have a date that cannot be read; the date is ignored", line)
        rows.append(_Row(client, concept, cells.get("note", ""), weight, day))
    file.account.used = len(rows)
    if not rows:
        raise InputFileError(f"{path} has no row with a client and a concept; check that it is the right file")
    return _collect(rows), file.account


def read_day(cell: str) -> str | None:
    """Return the day in a cell as "2026-03-01"; None if there is none."""
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


def _collect(rows: Sequence[_Row]) -> Mentions:
    clients = {client: place for place, client in enumerate(dict.fromkeys(row.client for row in rows))}
    concepts = {concept: place for place, concept in enumerate(sorted({row.concept for row in rows}))}
    # A note's number may be used again for another client.
    keys = [(row.client, row.note) for row in rows]
    notes = {key: place for place, key in enumerate(dict.fromkeys(key for key in keys if key[1]))}
    return Mentions(
        tuple(clients),
        tuple(concepts),
        np.array([clients[row.client] for row in rows]),
        np.array([concepts[row.concept] for row in rows]),
        np.array([notes.get(key, -1) for key in keys]),
        np.array([row.weight for row in rows]),
        np.array([row.day or "NaT" for row in rows], dtype="datetime64[D]"),
    )
