"""What became of clients: labels read from a CSV file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from intelligence.analytics.csv_rows import CLIENT, read_number, read_rows
from intelligence.analytics.errors import InputFileError
from intelligence.analytics.mentions import read_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from intelligence.analytics.csv_rows import Account
    from intelligence.analytics.mentions import Mentions

PURCHASED, CHURNED, LIFETIME_VALUE = "purchased", "churned", "lifetime_value"
LABELS = (PURCHASED, CHURNED, LIFETIME_VALUE)
_NAMES = {
    PURCHASED: (PURCHASED, "purchase", "bought"),
    CHURNED: (CHURNED, "churn"),
    LIFETIME_VALUE: (LIFETIME_VALUE, "clv", "ltv", "value"),
}
AS_OF = "as_of"
_AS_OF = (AS_OF, "label_date", "labelled_at", "observed_from")
_TRUE, _FALSE = {"1", "1.0", "true", "yes", "y", "t"}, {"0", "0.0", "false", "no", "n", "f"}


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels by client id.

    Attributes:
        columns: which of `LABELS` the file has.
        values: for each client a number for each of `LABELS`, NaN where it is unknown; truths are 0 and 1.
        days: of clients, from which day on the outcome was observed; nothing later may be learned from.
    """

    columns: Sequence[str]
    values: Mapping[str, tuple[float, ...]]
    days: Mapping[str, str] = field(default_factory=dict)

    def of(self, label: str, clients: Sequence[str]) -> NDArray[np.float64]:
        """Return a label of clients, shape [clients], NaN where it is unknown."""
        place, unknown = LABELS.index(label), (np.nan,) * len(LABELS)
        return np.array([self.values.get(client, unknown)[place] for client in clients])

    def hide_later(self, mentions: Mentions) -> Mentions:
        """Return the mentions without those on the day of their client's label or later."""
        days = [self.days.get(client, "NaT") for client in mentions.clients]
        return mentions.before(np.array(days, dtype="datetime64[D]"))


def read_labels(path: Path) -> tuple[Labels, Account]:
    """Read a CSV file of labels: client_id and at least one of purchased, churned and lifetime_value; as_of if known.

    A label that cannot be read is unknown and counted. Of a client with equal rows one counts; rows that contradict
    each other are left out and counted.

    Raises:
        InputFileError: the file cannot be read, has no label column, or no label.
    """
    file = read_rows(path, {"client_id": CLIENT}, {**_NAMES, AS_OF: _AS_OF})
    account = file.account
    columns = [label for label in LABELS if label in account.columns]
    if not columns:
        raise InputFileError(f"{path} has none of the columns {', '.join(LABELS)}; add those that you know")
    found: dict[str, tuple[float, ...]] = {}
    days: dict[str, str] = {}
    lines: dict[str, list[int]] = {}
    contradicted = set()
    for line, cells in file.lines:
        client = cells["client_id"]
        if not client:
            account.note("without a client id are left out", line)
            continue
        row = _read_row(cells, file.separator, account, line)
        day = read_day(cells.get(AS_OF, ""))
        if day is not None:
            days[client] = min(day, days.get(client, day))
        elif cells.get(AS_OF):
            account.note("have an as_of that cannot be read; it is ignored", line)
        if not np.array_equal(found.setdefault(client, row), row, equal_nan=True):
            contradicted.add(client)
        lines.setdefault(client, []).append(line)
    _account_repeated(account, lines, contradicted)
    found = {client: row for client, row in found.items() if client not in contradicted}
    account.used = len(found)
    if not any(not np.isnan(value) for row in found.values() for value in row):
        raise InputFileError(f"{path} has no label that can be read; write purchased and churned as 0 or 1")
    return Labels(columns, found, days), account


def _read_row(cells: Mapping[str, str], separator: str, account: Account, line: int) -> tuple[float, ...]:
    row = tuple(_read_label(label, cells.get(label, ""), separator) for label in LABELS)
    for label, value in zip(LABELS, row, strict=True):
        if cells.get(label) and np.isnan(value):
            account.note(f"have a {label} that cannot be read; it is unknown", line)
    return row


def _account_repeated(account: Account, lines: Mapping[str, Sequence[int]], contradicted: set[str]) -> None:
    for client, rows in lines.items():
        if client in contradicted:
            for line in rows:
                account.note("contradict another row of the same client and are left out", line)
        else:
            for line in rows[1:]:
                account.note("repeat another row", line)


def _read_label(label: str, cell: str, separator: str) -> float:
    if label == LIFETIME_VALUE:
        number = read_number(cell, separator)
        return np.nan if number is None else number
    said = cell.lower()
    return 1.0 if said in _TRUE else 0.0 if said in _FALSE else np.nan
