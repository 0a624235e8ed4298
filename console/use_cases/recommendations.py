"""Recommendations computed from the warehouse's purchases, stored as insights and written to files."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.ports import LedgerFacts
from campaigns.postgres_insights import count_insights, write_insights
from console.use_cases.ledger import ask_ledger
from console.use_cases.recommendation_file import open_file
from features.insights import RECOMMENDATIONS, RECOMMENDATIONS_FACT, RECOMMENDED_AT
from intelligence.errors import NoRecommendationsError, RecommendationError
from intelligence.recommendations.catalogue import CATALOGUE_COLUMNS, read_catalogue
from intelligence.recommendations.catalogue import REQUIRED_COLUMNS as OF_PRODUCTS
from intelligence.recommendations.purchases import PURCHASE_COLUMNS, read_purchases
from intelligence.recommendations.purchases import REQUIRED_COLUMNS as OF_PURCHASES
from intelligence.recommendations.sources import Source, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from campaigns.postgres_ledger import PostgresLedger
    from intelligence.recommendations.catalogue import Catalogue
    from intelligence.recommendations.purchases import Purchases
    from intelligence.recommendations.recommender import Recommended, Recommender
    from streams.settings import Settings

    Show = Callable[[str, int, int | None], None]

FACT_FIELDS = ("product_id", "name", "category", "price", "score", "bought_before", "reason")
"""What a fact has of each recommendation; files have `because`, too."""
PAGE = 2_000
SHOWN_EACH = 50_000
"""Rows read between two steps of the progress bar."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What to recommend from.

    Attributes:
        catalog: a table, query or file; None for the settings'.
        purchases: likewise.
        newcomers: of customers without purchases, with a column customer_id and perhaps category; None for none.
        renames: the sources' names of columns, by ours.
        encoding: of files.
        as_of: the day of recommending, before which purchases count; None for the day after the latest purchase.
    """

    catalog: str | None = None
    purchases: str | None = None
    newcomers: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What to recommend.

    Attributes:
        top_k: how many products at most.
        only_new: none that the customer has bought.
        out: a .parquet or .json file to write; None for none.
        stores: whether to write facts.
    """

    top_k: int = 5
    only_new: bool = False
    out: Path | None = None
    stores: bool = True


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did.

    Attributes:
        products: of the catalogue.
        incomplete: how many of them lack something, by what.
        purchases: that count.
        excluded: how many do not, by why.
        as_of: the day of recommending.
        learned_on: the earlier days that the weights were learned on; empty for default weights.
        customers: with recommendations, newcomers included.
        newcomers: without purchases.
        stored: how many customers have facts now; None where none were written.
        file: what was written.
    """

    products: int
    incomplete: Mapping[str, int]
    purchases: int
    excluded: Mapping[str, int]
    as_of: str
    learned_on: Sequence[str]
    customers: int
    newcomers: int
    stored: int | None
    file: Path | None


def read_inputs(settings: Settings, inputs: Inputs, show: Show, *, now: datetime) -> tuple[Catalogue, Purchases, float]:
    """Return the catalogue, the purchases and the day of recommending, in days since 1970.

    Raises:
        RecommendationError: a source cannot be used.
    """
    catalog, bought = (
        _find_source(settings, inputs, each)
        for each in (inputs.catalog or settings.catalog, inputs.purchases or settings.purchases)
    )
    rows = read_rows(catalog, CATALOGUE_COLUMNS, OF_PRODUCTS)
    catalogue = read_catalogue((dict(zip(CATALOGUE_COLUMNS, row, strict=True)) for row in rows), catalog.address)
    lines = _counted(read_rows(bought, PURCHASE_COLUMNS, OF_PURCHASES), "purchases read", show)
    purchases = read_purchases(lines, catalogue, bought.address, now)
    as_of = np.floor(purchases.days.max()) + 1 if inputs.as_of is None else inputs.as_of.timestamp() / 86_400
    return catalogue, purchases, float(as_of)


def learn(settings: Settings, inputs: Inputs, show: Show, *, now: datetime) -> Recommender:
    """Return the recommender of the catalogue and purchases.

    Raises:
        RecommendationError: a source cannot be used, or a package is not installed.
    """
    try:
        # SciPy and scikit-learn come with an extra; other commands run without it.
        from intelligence.recommendations.recommender import fit_recommender  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RecommendationError(
            f"recommending needs the package {error.name}; install Holdfast with the extra `training`"
        ) from error
    return fit_recommender(*read_inputs(settings, inputs, show, now=now), show)


def run_recommendations(
    settings: Settings, inputs: Inputs, options: Options, show: Show, *, now: datetime
) -> RunReport:
    """Compute the recommendations of all customers, store them as facts, and write them to a file.

    Args:
        settings: the warehouse and the ledger.
        inputs: what to recommend from.
        options: what to recommend, and where to.
        show: receives what is being done, and how much of it.
        now: the present time.

    Raises:
        RecommendationError: a source or the file cannot be used.
        LedgerUnavailableError: the facts cannot be written.
    """
    if options.stores:
        count_insights(settings.ledger_url)  # a ledger that cannot be used is known before the work
    with nullcontext() if options.out is None else open_file(options.out) as add:
        recommender = learn(settings, inputs, show, now=now)
        run = _Run(recommender, options, show)
        rows = run.take(_read_newcomers(settings, inputs) if inputs.newcomers else (), add)
        facts = ((each.customer_id, as_facts(each.recommendations, now)) for each in rows)
        stored = write_insights(settings.ledger_url, RECOMMENDATIONS, facts, at=now) if options.stores else None
        for _ in facts:  # all of them where none are stored
            pass
    purchases = recommender.purchases
    return RunReport(
        len(recommender.catalogue),
        recommender.catalogue.counts,
        len(purchases),
        purchases.excluded,
        _write_day(recommender.finder.history.as_of),
        [_write_day(each) for each in recommender.ranking.learned_from],
        run.customers,
        run.newcomers,
        stored,
        options.out,
    )


class _Run:
    """Counts what is recommended, on the way to a file and to the facts."""

    def __init__(self, recommender: Recommender, options: Options, show: Show) -> None:
        self._recommender = recommender
        self._options = options
        self._show = show
        self.customers = self.newcomers = 0

    def take(
        self, newcomers: Iterable[tuple[str, str | None]], add: Callable[[Recommended], None] | None
    ) -> Iterator[Recommended]:
        """Yield the recommendations of every customer, each added to the file first."""
        for each in self._recommend(newcomers):
            self.customers += 1
            if add is not None:
                add(each)
            yield each

    def _recommend(self, newcomers: Iterable[tuple[str, str | None]]) -> Iterator[Recommended]:
        options, total = self._options, self._recommender.count_customers()
        for each in self._recommender.recommend_all(options.top_k, only_new=options.only_new):
            if self.customers % PAGE == 0:
                self._show("customers", self.customers, total)
            yield each
        for each in self._recommender.recommend_newcomers(newcomers, options.top_k):
            self.newcomers += 1
            yield each


def as_facts(recommendations: Sequence[Mapping[str, Any]], at: datetime) -> dict[str, Any]:
    """Return the facts of a customer, computed at a time, see features/insights.py."""
    short = [{name: each[name] for name in FACT_FIELDS} for each in recommendations]
    first = short[0]["product_id"] if short else None
    return {RECOMMENDATIONS_FACT: short, "recommended_product": first, RECOMMENDED_AT: at.astimezone(UTC).isoformat()}


def recommend_now(
    settings: Settings, inputs: Inputs, options: Options, customer_id: str, category: str | None, *, now: datetime
) -> Sequence[Mapping[str, Any]]:
    """Return the recommendations of one customer, computed from the present purchases; nothing is stored.

    Args:
        settings: the warehouse.
        inputs: what to recommend from.
        options: what to recommend.
        customer_id: one without purchases gets popular products.
        category: of these popular products.
        now: the present time.

    Raises:
        RecommendationError: a source cannot be used.
    """
    recommender = learn(settings, inputs, lambda *_: None, now=now)
    if recommender.has_history(customer_id):
        return recommender.recommend(customer_id, options.top_k, only_new=options.only_new).recommendations
    return recommender.recommend_popular(options.top_k, category)


def read_stored(settings: Settings, customer_id: str) -> Sequence[Mapping[str, Any]]:
    """Return the recommendations of one customer that the latest run stored.

    Raises:
        NoRecommendationsError: there are none.
        LedgerUnavailableError: the ledger cannot be read.
    """

    async def ask(ledger: PostgresLedger) -> Any:
        state = await ledger.read([customer_id], [], facts=LedgerFacts(insights=(RECOMMENDATIONS,)))
        return state.insights.get(customer_id, {}).get(RECOMMENDATIONS)

    found = ask_ledger(settings, ask)
    if found is None:
        raise NoRecommendationsError(
            f"no recommendations of customer {customer_id!r} are stored; run `holdfast recommend run`, or compute "
            "those of this customer with --now"
        )
    stored: Sequence[Mapping[str, Any]] = found["recommendations"]
    return stored


def _find_source(settings: Settings, inputs: Inputs, address: str) -> Source:
    return Source(address, settings.warehouse_url, inputs.renames, inputs.encoding)


def _read_newcomers(settings: Settings, inputs: Inputs) -> Iterator[tuple[str, str | None]]:
    source = _find_source(settings, inputs, inputs.newcomers or "")
    for customer_id, category in read_rows(source, ("customer_id", "category"), {"customer_id"}):
        if customer_id is not None and str(customer_id).strip():
            yield str(customer_id).strip(), category


def _counted(rows: Iterable[Any], what: str, show: Show) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if number % SHOWN_EACH == 0:
            show(what, number, None)
        yield row


def _write_day(day: float) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}"
