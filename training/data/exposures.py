"""Rows to learn uplift from: the ledger's exposures, treated and control, with what was known before and came after.

Each customer counts once for a campaign, at the first exposure: whether a second contact follows depends on the effect
of the first (intention to treat, as in campaigns/effect.py). Features are the facts that were recorded with the
decision. The outcome is a conversion within the window, by whichever contact of the campaign.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import psycopg

from features.table import FeatureTable, plain
from training.errors import NoExposuresError, TrainingSourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from training.data.dataset import Source

EXPOSURES = """
WITH exposed AS (
    SELECT DISTINCT ON (campaign, customer_id) campaign, customer_id, trigger_id, variant, decided_at
      FROM contact ORDER BY campaign, customer_id, decided_at, trigger_id
), answered AS (
    SELECT campaign, customer_id, min((first_at ->> 'converted')::timestamptz) AS converted_at
      FROM contact WHERE first_at ? 'converted' GROUP BY campaign, customer_id
)
SELECT e.customer_id, e.campaign, d.versions ->> 'campaign', e.variant = 'treatment',
       coalesce(a.converted_at <= e.decided_at + %(window)s::interval, false), (e.decided_at AT TIME ZONE 'UTC')::date,
       coalesce((d.inputs ->> 'exposure_probability')::float8, 1),
       ARRAY(SELECT d.facts -> c.name FROM unnest(%(columns)s::text[]) WITH ORDINALITY AS c (name, place)
              ORDER BY c.place)::text[]
  FROM exposed e JOIN decision d ON d.customer_id = e.customer_id AND d.decision_id = e.trigger_id
  LEFT JOIN answered a ON a.campaign = e.campaign AND a.customer_id = e.customer_id
 WHERE e.decided_at >= %(since)s::date AND e.decided_at + %(window)s::interval <= %(until)s
 ORDER BY 6, 1, 2"""
COLUMNS = ("campaign", "contacted", "converted", "snapshot_date", "propensity")


def read_exposures(source: Source, columns: Sequence[str], until: datetime) -> FeatureTable:
    """Return a row for each customer and campaign whose window is over, with the recorded facts in these columns.

    `propensity` is the probability of the exposure in its arm, given the version of the campaign: the share of that
    arm, times the probability with which a contact was possible. Versions without both arms are left out.

    Args:
        source: the ledger, the first day, and the days of the window.
        columns: the facts to return.
        until: what was reported up to then is known.

    Raises:
        TrainingSourceError: the ledger cannot be read.
        NoExposuresError: no ledger is named.
    """
    found = _fetch(source, columns, until)
    arms = Counter((campaign, version, contacted) for _, campaign, version, contacted, *_ in found)
    rows = []
    for customer, campaign, version, contacted, converted, day, chance, facts in found:
        own, other = arms[campaign, version, contacted], arms[campaign, version, not contacted]
        if other:
            cells = [None if each is None else json.loads(each) for each in facts]
            rows.append((customer, campaign, contacted, converted, day, chance * own / (own + other), *cells))
    return FeatureTable.from_rows([row[0] for row in rows], [*COLUMNS, *columns], [row[1:] for row in rows])


def require_exposures(table: FeatureTable, columns: Iterable[str], source: Source) -> None:
    """Check that there are rows, and that decisions have recorded the columns that are to be learned from.

    Raises:
        NoExposuresError: they have not.
    """
    if not len(table):
        raise NoExposuresError(
            f"the ledger has no campaign with a control group whose window of {source.window_days} days is over; give "
            "a campaign a holdout_percent, report the conversions of both arms, and train when the window has passed"
        )
    unknown = [name for name in columns if all(plain(cell) is None for cell in table.columns[name])]
    if unknown:
        raise NoExposuresError(
            f"no decision has recorded {', '.join(unknown)} of ML_FEATURE_MAPPING: decisions record what the models "
            "that serve take, so promote one with these features first, as churn, or name your own --query"
        )


def require_ledger(source: Source) -> str:
    """Return the ledger.

    Raises:
        NoExposuresError: none is named.
    """
    if source.ledger_url is None:
        raise NoExposuresError("uplift is learned from the ledger; set HOLDFAST_LEDGER_URL, or name your own --query")
    return source.ledger_url


def _fetch(source: Source, columns: Iterable[str], until: datetime) -> list[tuple[Any, ...]]:
    ledger_url = require_ledger(source)
    values = {
        "columns": list(columns),
        "since": source.start_date,
        "until": until,
        "window": f"{source.window_days} days",
    }
    try:
        with psycopg.connect(ledger_url, connect_timeout=10, options="-c timezone=UTC") as connection:
            connection.read_only = True
            return connection.execute(EXPOSURES.encode(), values).fetchall()
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise TrainingSourceError(
            f"the ledger refused the exposures ({reason}); check HOLDFAST_LEDGER_URL, and run holdfast ledger migrate"
        ) from error
