"""The facts that rules can read, with type, group, coverage and sample values: what a builder of rules offers."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from campaigns.errors import LedgerUnavailableError
from campaigns.feedback import ALWAYS_VIP
from campaigns.ports import LedgerFacts, LedgerState
from console.use_cases.ledger import open_ledger
from console.use_cases.segment_facts import SIGNAL_FACTS
from console.use_cases.warehouse_check import describe_view, read_sample
from features.insights import INSIGHT_FACTS, KINDS, RECOMMENDED_AT, add_insights
from features.signals import as_columns
from features.table import FeatureTable, find_kind, plain
from features.times import EVENT_TIME, STALE, event_times, parse_time
from models.facts import SCORE_FACTS
from models.rfm import RFM_SOURCES
from models.scores import score_customers
from models.sources import unavailable_facts
from streams.definitions import read_definitions
from streams.known_facts import SAMPLED_ROWS
from streams.runtime.model_reload import load_models
from streams.staff_feedback import feedback_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from features.table import Column, Kind
    from models.registry import Scorers
    from streams.settings import Settings

GROUPS = (
    "financial",
    "activity",
    "profile",
    "risk and engagement",
    "predictions",
    "conversation",
    "warehouse",
)
FINANCIAL, ACTIVITY, PROFILE, RISK, PREDICTIONS, CONVERSATION, WAREHOUSE = GROUPS
SHOWN_VALUES = 5
SHORTEST_SAMPLE = 20
"""With fewer values it cannot be seen whether each customer has another one."""

# Words in the names of columns that leave little doubt, by kind. A name with words of two groups has none of them.
_WORDS_OF_NUMBERS: Mapping[str, str] = {
    **dict.fromkeys(("revenue", "spend", "spent", "price", "cost", "payment", "balance", "charges"), FINANCIAL),
    **dict.fromkeys(("orders", "purchases", "transactions", "visits", "logins", "sessions", "recency"), ACTIVITY),
    **dict.fromkeys(("complaints", "nps", "risk", "engagement", "clicks", "opens"), RISK),
    **dict.fromkeys(("age", "tenure"), PROFILE),
}
_WORDS_OF_OTHERS: Mapping[str, str] = dict.fromkeys(
    ("country", "city", "region", "language", "gender", "birth", "consent", "tier", "preferred"), PROFILE
)
# The columns that docs/training.md and the rules standing in for models define.
_NAMES: Mapping[str, str] = {
    "days_since_last_transaction": ACTIVITY,
    "transaction_count": ACTIVITY,
    "total_revenue": FINANCIAL,
    "avg_transaction_value": FINANCIAL,
    "lifetime_value": FINANCIAL,
    "tenure_days": PROFILE,
    "customer_since": PROFILE,
    EVENT_TIME: ACTIVITY,
    ALWAYS_VIP: PROFILE,
    **dict.fromkeys(INSIGHT_FACTS, PREDICTIONS),
}
# Of facts that Holdfast adds, which a sample may have no value of.
_TYPES: Mapping[str, str] = {
    "key_concerns": "list",
    "recommendations": "list",
    **dict.fromkeys(("cluster", "cluster_name", "recommended_product"), "text"),
    RECOMMENDED_AT: "time",
    **dict.fromkeys(("churn_risk", "churn_risk_level", "value_segment", "rfm_segment", "decision_basis"), "text"),
    "last_message_language": "text",
}
_ID = re.compile(r"(^|_)(id|uuid|guid|key)$|[a-z](Id|ID|Uuid|UUID)$", re.ASCII)


@dataclass(frozen=True, slots=True)
class FactColumn:
    """A fact that rules can read.

    Attributes:
        name: as in `{"var": name}`.
        type: number, boolean, text, time, list or object; other where the sample has no value to tell by.
        group: one of GROUPS.
        coverage: the share of the sampled customers for whom it is not null, 0 to 1; None where it was not sampled.
        values: some distinct values: of numbers from the least to the greatest, else the most frequent; none of a
            column that identifies customers.
    """

    name: str
    type: str
    group: str
    coverage: float | None
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class FactColumns:
    """The facts that rules can read.

    Attributes:
        view: the table, view or file.
        sampled: how many customers were read: the first that the warehouse gave.
        facts: by group, and by name in each.
        unsampled: why the facts of conversations and feedback were not sampled; None where they were.
    """

    view: str
    sampled: int
    facts: Sequence[FactColumn]
    unsampled: str | None


def list_fact_columns(settings: Settings, *, rows: int = SAMPLED_ROWS) -> FactColumns:
    """Return every fact that rules can read: no private columns, no scores for which the view lacks a column.

    Without the ledger the facts of conversations and feedback have no coverage and no values.

    Raises:
        WarehouseError: the warehouse cannot be read.
        CampaignError, SegmentsError, ModelError: the definitions or the models cannot be used.
    """
    definitions = read_definitions(settings)
    return asyncio.run(_list(settings, load_models(settings, definitions.offers), rows))


async def _list(settings: Settings, scorers: Scorers, rows: int) -> FactColumns:
    sample = await read_sample(settings, rows)
    unavailable = unavailable_facts(sample.columns, (), scorers)
    scored = score_customers(sample, scorers)
    scored = FeatureTable(
        scored.customer_ids, {name: cells for name, cells in scored.columns.items() if name not in unavailable}
    )
    unsampled = None
    state = LedgerState({}, {}, {}, ())
    try:
        async with open_ledger(settings) as ledger:
            state = await ledger.read(sample.customer_ids, [], facts=LedgerFacts(insights=tuple(KINDS)))
    except LedgerUnavailableError as error:
        unsampled = str(error)
    scored = scored.with_columns({EVENT_TIME: event_times([datetime.now(UTC)] * len(scored))})
    if settings.updated_at_column is not None:
        # As of a row that is up to date.
        scored = scored.with_columns({STALE: np.zeros(len(scored), dtype=np.bool_)})
    facts = [
        *describe_facts(scored, settings.customer_id_column),
        *describe_ledger_facts(state, sample.customer_ids, is_sampled=unsampled is None),
    ]
    ordered = sorted(facts, key=lambda fact: (GROUPS.index(fact.group), fact.name))
    return FactColumns(describe_view(settings), len(sample), ordered, unsampled)


def describe_facts(scored: FeatureTable, id_column: str) -> list[FactColumn]:
    """Return the facts of sampled rows, with the scores; those of conversations and feedback come from elsewhere."""
    return [
        describe_fact(name, column, is_id=name == id_column)
        for name, column in scored.columns.items()
        if name not in SIGNAL_FACTS | INSIGHT_FACTS and name != ALWAYS_VIP
    ]


def describe_ledger_facts(state: LedgerState, customer_ids: Sequence[str], *, is_sampled: bool) -> list[FactColumn]:
    """Return the facts of conversations, of feedback and of batch jobs of sampled customers."""
    now = datetime.now(UTC)
    feedback = feedback_columns(state.contact_histories, customer_ids, dict.fromkeys(customer_ids, now))
    insights = add_insights(FeatureTable(tuple(customer_ids), {}), state.insights).columns
    facts = {**as_columns(state.signals, customer_ids, now), **feedback, **insights}
    described = [describe_fact(name, column) for name, column in facts.items()]
    if is_sampled:
        return described
    return [FactColumn(each.name, each.type, each.group, None, ()) for each in described]


def describe_fact(name: str, column: Column, *, is_id: bool = False) -> FactColumn:
    """Return what a sample of a fact shows."""
    cells = [cell for cell in map(plain, column.tolist()) if cell is not None]
    kind = find_kind(column)
    coverage = len(cells) / len(column) if len(column) else None
    hidden = is_id or _ID.search(name) is not None or identifies(cells)
    values = () if hidden else pick_values(cells)
    type_name = _TYPES.get(name) or find_type(kind, cells)
    return FactColumn(name, type_name, find_group(name, kind), coverage, values)


def find_type(kind: Kind, cells: Sequence[Any]) -> str:
    """Return the type of a fact by its kind, and by its values where the kind is `other`."""
    if kind != "other":
        return kind
    types = {type(cell) for cell in cells}
    if types == {str}:
        return "time" if all(parse_time(cell) for cell in cells) else "text"
    return {frozenset({bool}): "boolean", frozenset({list}): "list", frozenset({dict}): "object"}.get(
        frozenset(types), "other"
    )


def find_group(name: str, kind: Kind) -> str:
    """Return the group of a fact: fixed where Holdfast adds or defines it, else by words of its name or `warehouse`."""
    if name in SIGNAL_FACTS:
        return CONVERSATION
    if name in RFM_SOURCES:
        return RISK
    if name in SCORE_FACTS:
        return PREDICTIONS
    if name in _NAMES:
        return _NAMES[name]
    words = _WORDS_OF_NUMBERS if kind == "number" else _WORDS_OF_OTHERS
    found = {words[word] for word in re.split(r"[^a-z]+", name.lower()) if word in words}
    return found.pop() if len(found) == 1 else WAREHOUSE


def identifies(cells: Sequence[Any]) -> bool:
    """Return whether values tell customers apart, as e-mail addresses, names and account numbers do.

    So do texts of which more than half are distinct, and whole numbers that are all distinct.
    """
    if len(cells) < SHORTEST_SAMPLE:
        return False
    distinct = len({repr(cell) for cell in cells})
    if all(isinstance(cell, str) for cell in cells):
        return 2 * distinct > len(cells)
    return distinct == len(cells) and all(isinstance(cell, float) and cell.is_integer() for cell in cells)


def pick_values(cells: Sequence[Any]) -> list[Any]:
    """Return at most SHOWN_VALUES distinct values: numbers from the least to the greatest, else the most frequent."""
    if cells and all(isinstance(cell, float) for cell in cells):
        distinct = sorted(set(cells))
        if len(distinct) <= SHOWN_VALUES:
            return distinct
        return [distinct[place * (len(distinct) - 1) // (SHOWN_VALUES - 1)] for place in range(SHOWN_VALUES)]
    by_text = {repr(cell): cell for cell in cells}
    return [by_text[text] for text, _ in Counter(map(repr, cells)).most_common(SHOWN_VALUES)]
