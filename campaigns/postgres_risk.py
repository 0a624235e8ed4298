"""The churn risk of customers as their decisions recorded it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from campaigns.postgres_connections import connect_ledger
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date


@dataclass(frozen=True, slots=True)
class RiskHistory:
    """The churn risk of customers about whom something was decided.

    Attributes:
        weeks: Monday, band, and how many customers were in it that week; a customer may be in several.
        moves: how many customers were in one band at their first decision and in another at their last.
    """

    weeks: Sequence[tuple[date, str, int]]
    moves: Mapping[tuple[str, str], int]


def read_risk_history(ledger_url: str, weeks: int) -> RiskHistory:
    """Return the churn risk in the weeks before the latest decision.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    with connect_ledger(ledger_url) as connection:
        connection.read_only = True
        ((latest,),) = connection.execute(QUERIES["latest_decision"]).fetchall()
        if latest is None:
            return RiskHistory([], {})
        since = {"since": latest - timedelta(weeks=weeks)}
        rows = connection.execute(QUERIES["risk_weeks"], since).fetchall()
        moves = connection.execute(QUERIES["risk_moves"], since).fetchall()
    return RiskHistory(
        [(week, risk, count) for week, risk, count in rows],
        {(began, ended): count for began, ended, count in moves},
    )
