"""Rows to learn leads from: of a CSV file, or of what the ledger has of leads that were converted, lost or judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psycopg

from features.table import FeatureTable
from models.errors import LeadFileError
from models.lead_file import DATE_COLUMN, LABEL_COLUMN, read_leads
from models.leads import FEATURES
from training.errors import TrainingDataError, TrainingSourceError

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from features.table import Column

HALF = 50
"""The score from which on staff mean that a lead will convert."""
# The features are those before the outcome: what a sale changes of a lead must not predict the sale. An outcome counts
# more than what staff said of the score, and of several the latest counts.
_QUERY = """
WITH closed AS (
    SELECT DISTINCT ON (lead_id) lead_id, occurred_at AS until, type = 'lead.converted' AS converted
      FROM lead_event WHERE type IN ('lead.converted', 'lead.lost')
     ORDER BY lead_id, occurred_at DESC, event_id DESC
), judged AS (
    SELECT DISTINCT ON (lead_id) lead_id, occurred_at AS until, (content ->> 'value')::float8 >= %(half)s AS converted
      FROM lead_event
     WHERE type = 'lead.wrong_score' AND content ->> 'value' IS NOT NULL AND lead_id NOT IN (SELECT lead_id FROM closed)
     ORDER BY lead_id, occurred_at DESC, event_id DESC
)
SELECT labelled.lead_id, labelled.converted, known.occurred_at::date, known.features
  FROM (SELECT * FROM closed UNION ALL SELECT * FROM judged) AS labelled,
       LATERAL (SELECT occurred_at, content -> 'features' AS features FROM lead_event u
                 WHERE u.lead_id = labelled.lead_id AND u.type = 'lead.updated' AND u.occurred_at < labelled.until
                 ORDER BY occurred_at DESC, event_id DESC LIMIT 1) AS known
 WHERE known.occurred_at >= %(start)s
 ORDER BY known.occurred_at, labelled.lead_id
"""


def read_ledger_rows(ledger_url: str, start: date) -> FeatureTable:
    """Return a row for each lead with an outcome, or with what staff said its score should be.

    Raises:
        TrainingSourceError: the ledger cannot be read.
    """
    try:
        with psycopg.connect(ledger_url, connect_timeout=10, options="-c timezone=UTC") as connection:
            rows = connection.execute(_QUERY, {"half": HALF, "start": start}).fetchall()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingSourceError(
            f"leads cannot be read from the ledger ({reason}); check HOLDFAST_LEDGER_URL"
        ) from error
    cells = [[features.get(name) for name in FEATURES] for _, _, _, features in rows]
    days = np.array([day for _, _, day, _ in rows], dtype="datetime64[D]")
    labels = np.array([float(converted) for _, converted, _, _ in rows])
    return _as_table([lead for lead, _, _, _ in rows], cells, labels, days)


def read_file_rows(path: Path) -> FeatureTable:
    """Return the rows of a CSV file with a column `converted`, and perhaps `date`.

    Raises:
        TrainingDataError: the file or a line cannot be read.
    """
    try:
        leads = read_leads(path)
    except LeadFileError as error:
        raise TrainingDataError(str(error)) from error
    if not any(each.converted for each in leads):
        raise TrainingDataError(
            f"{path}: no lead has a cell in the column {LABEL_COLUMN!r}: yes or no, true or false, 1 or 0"
        )
    labels = np.array([each.converted.strip() or None for each in leads], dtype=object)
    try:
        days = np.array([each.date.strip()[:10] or "NaT" for each in leads], dtype="datetime64[D]")
    except ValueError as error:
        raise TrainingDataError(f"{path}: column {DATE_COLUMN!r} holds no date ({error}); write 2011-06-01") from error
    cells = [[each.features.get(name) for name in FEATURES] for each in leads]
    return _as_table([each.lead_id for each in leads], cells, labels, days)


def find_varying(table: FeatureTable) -> tuple[dict[str, str], list[str]]:
    """Return the features to learn from by name, and those left out, which have one value or none."""
    known = {name: table.columns[name][~np.isnan(table.columns[name])] for name in FEATURES}
    varying = [name for name, cells in known.items() if len(np.unique(cells)) > 1]
    return {name: name for name in varying}, [name for name in FEATURES if name not in varying]


def _as_table(ids: list[str], cells: list[list[float | None]], labels: Column, days: Column) -> FeatureTable:
    matrix = np.array(cells, dtype=np.float64).reshape(-1, len(FEATURES))
    columns = {name: matrix[:, place] for place, name in enumerate(FEATURES)}
    return FeatureTable(tuple(ids), {**columns, LABEL_COLUMN: labels, "snapshot_date": days})
