"""Figures about all customers: cohorts of purchases, RFM, churn risk, and what campaigns brought."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaigns.postgres_risk import read_risk_history
from console.use_cases.performance import measure_campaign
from console.use_cases.predictions import predict_segment
from intelligence.cohorts import build_cohorts
from intelligence.recommendations.sources import Source, read_rows
from models.predictions import RFM
from models.tasks.churn import Churn
from streams.definitions import read_definitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.postgres_risk import RiskHistory
    from console.use_cases.performance import CampaignPerformance
    from console.use_cases.predictions import Page, PredictionService
    from intelligence.cohorts import Cohorts
    from streams.settings import Settings

RISK_WEEKS = 12


@dataclass(frozen=True, slots=True)
class RfmMap:
    """How many customers there are by RFM.

    Attributes:
        cells: by recency and frequency, each from 1 to 5.
        segments: by segment.
        unknown: customers of whom nothing is known.
    """

    cells: Mapping[tuple[int, int], int]
    segments: Mapping[str, int]
    unknown: int


def read_cohorts(settings: Settings) -> Cohorts:
    """Return the cohorts of the purchases that DWH_PURCHASES names.

    Raises:
        RecommendationError: they cannot be read.
    """
    source = Source(settings.purchases, settings.warehouse_url)
    columns = ("customer_id", "purchased_at")
    return build_cohorts((row[0], row[1]) for row in read_rows(source, columns, frozenset(columns)))


def count_rfm(settings: Settings) -> RfmMap:
    """Return how many customers of the warehouse there are by RFM.

    Raises:
        WarehouseError, PredictionError: the warehouse cannot be read, or lacks a column.
    """
    cells: Counter[tuple[int, int]] = Counter()
    segments: Counter[str] = Counter()
    unknown = 0

    def take(_: PredictionService, page: Page) -> None:
        nonlocal unknown
        columns = page.predicted.columns
        rows = zip(columns["segment"].tolist(), columns["recency"].tolist(), columns["frequency"].tolist(), strict=True)
        for segment, recency, frequency in rows:
            if segment is None:
                unknown += 1
            else:
                cells[int(recency), int(frequency)] += 1
                segments[segment] += 1

    predict_segment(settings, RFM, None, take)
    return RfmMap(cells, dict(segments.most_common()), unknown)


def count_risk(settings: Settings) -> Mapping[str, int]:
    """Return how many customers of the warehouse there are in each band of churn risk, by today's model.

    Raises:
        WarehouseError, PredictionError: the warehouse cannot be read, or lacks a column.
    """
    bands: Counter[str] = Counter()

    def take(_: PredictionService, page: Page) -> None:
        bands.update(each or "unknown" for each in page.predicted.columns["churn_risk"].tolist())

    predict_segment(settings, Churn.name, None, take)
    return bands


def read_risks(settings: Settings) -> RiskHistory:
    """Return the churn risk in the weeks before the latest decision.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
    """
    return read_risk_history(settings.ledger_url, RISK_WEEKS)


def measure_campaigns(settings: Settings) -> Sequence[CampaignPerformance]:
    """Return what each campaign has achieved, without those that have exposed no customer.

    Raises:
        LedgerUnavailableError: the ledger cannot be read.
        CampaignDefinitionError: the definitions cannot be used.
    """
    keys = [each.key for each in read_definitions(settings).campaigns]
    return [found for found in (measure_campaign(settings, key) for key in keys) if found.customers]
