"""Why a customer was contacted, and why not, in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.decide import Outcome
from campaigns.guardrails import Reason
from features.errors import WarehouseError
from features.postgres_warehouse import PostgresWarehouse
from features.signals import as_columns
from models.scores import score_customers
from segments.explanation import explain_rule
from streams.services import load_definitions, load_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.postgres_ledger import PostgresLedger
    from segments.definition import Segment
    from segments.explanation import Comparison
    from streams.settings import Settings

SHORT = 1000.0  # from here on numbers are written out, without an exponent
HEADLINE_FACTS = (
    "churn_probability",
    "days_since_last_transaction",
    "transaction_count",
    "total_revenue",
    "rfm_segment",
    "sentiment_score",
)


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as the ledger keeps it."""

    campaign: str
    segment: str
    occasion: str
    outcome: str
    reason: str
    detail: str
    as_of: datetime
    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    event_id: str


async def tell_customer(settings: Settings, ledger: PostgresLedger, customer_id: str) -> list[str]:
    """Tell everything about a customer: memberships, every decision, and how each rule stands to the facts of now.

    Raises:
        WarehouseError: the warehouse cannot be read, or has no such customer.
    """
    segments, _, _ = load_definitions(settings.definitions_dir)
    decisions = [DecisionRecord(*row) for row in await ledger.rows("decisions_of", customer=customer_id)]
    held = await ledger.rows("memberships_of", customer=customer_id)
    facts = await current_facts(settings, ledger, customer_id, decisions)
    inside = [f"{segment} since {entered:%Y-%m-%d}" for segment, _, is_member, entered, _ in held if is_member]
    by_key = {segment.key: segment for segment in segments}
    return [
        f"customer {customer_id}: member of {', '.join(inside) or 'no segment'}",
        *(f"- {explain_decision(each, by_key)}" for each in decisions),
        "" if decisions else "no campaign has had this customer as a candidate",
        f"now: {headline(facts)}",
        *(f"- {explain_membership(segment, facts)}" for segment in segments),
    ]


async def current_facts(
    settings: Settings, ledger: PostgresLedger, customer_id: str, decisions: Sequence[DecisionRecord]
) -> Mapping[str, Any]:
    """Return the facts that the next event of a customer would be decided by, without any effect.

    Raises:
        WarehouseError: the warehouse cannot be read, or has no such customer.
    """
    warehouse = PostgresWarehouse(settings.warehouse_url, settings.features_table)
    try:
        await warehouse.open()
        table = await warehouse.fetch([customer_id])
    finally:
        await warehouse.close()
    if not len(table):
        raise WarehouseError(f"the warehouse has no customer {customer_id!r}; check the id")
    signals = (await ledger.read([customer_id], [])).signals
    moments = [each.as_of for each in decisions] + [s.last_message_at for s in signals.values() if s.last_message_at]
    as_of = max(moments, default=datetime.now(UTC))
    scored = score_customers(table, load_models(settings)).with_columns(as_columns(signals, table.customer_ids, as_of))
    return scored.row(0)


def explain_decision(decision: DecisionRecord, segments: Mapping[str, Segment]) -> str:
    """Tell one decision in two lines: what was done and why, and the facts its segment's rule looked at."""
    when = f"{decision.as_of:%Y-%m-%d}"
    verdict = {
        Outcome.FIRED: f"{when} {decision.campaign}: contacted, {_because(decision)}",
        Outcome.CONTROL: f"{when} {decision.campaign}: not contacted, {decision.detail}",
        Outcome.WITHHELD: f"{when} {decision.campaign}: withheld, {decision.detail}",
    }[Outcome(decision.outcome)]
    segment = segments.get(decision.segment)
    rule = explain_membership(segment, decision.facts) if segment else ""
    return f"{verdict}\n    {rule}".rstrip()


def _because(decision: DecisionRecord) -> str:
    return f"entered {decision.segment}" if decision.reason == Reason.ENTERED_SEGMENT else "launched by the operator"


def explain_membership(segment: Segment, facts: Mapping[str, Any]) -> str:
    """Tell how the facts stand to each comparison of a segment's rule."""
    explanation = explain_rule(segment.rule, facts)
    if not segment.rule.facts:
        return f"{segment.name}: the rule asks for no fact and {'always' if explanation.met else 'never'} holds."
    told = "; ".join(_tell(each) for each in explanation.comparisons)
    miss = explanation.nearest_miss
    nearest = f", nearest miss {miss.subject}" if miss and len(explanation.comparisons) > 1 else ""
    return f"{segment.name} ({'holds' if explanation.met else 'does not hold'}{nearest}): {told}."


def _tell(comparison: Comparison) -> str:
    if comparison.operator == "is":
        return f"{comparison.subject} is {_plain(comparison.value)}"
    verb = "is" if comparison.met != comparison.negated else "is not"
    return (
        f"{comparison.subject} {_plain(comparison.value)} {verb} {comparison.operator} {_plain(comparison.threshold)}"
    )


def headline(facts: Mapping[str, Any], names: Iterable[str] = HEADLINE_FACTS) -> str:
    """Return the facts a person asks for first."""
    return ", ".join(f"{name} {_plain(facts[name])}" for name in names if facts.get(name) is not None)


def pick_examples(decisions: Sequence[tuple[str, DecisionRecord]]) -> list[tuple[str, DecisionRecord]]:
    """Pick the first decision that fired, one held out and one withheld, of different campaigns where there are.

    Args:
        decisions: with the customer's id, first evaluations left out.
    """
    picked: list[tuple[str, DecisionRecord]] = []
    for outcome in Outcome:
        found = [pair for pair in decisions if pair[1].outcome == outcome]
        told = {each.campaign for _, each in picked}
        picked += sorted(found, key=lambda pair: pair[1].campaign in told)[:1]
    return picked


def _plain(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < SHORT else f"{cell:,.0f}"
    return "null" if cell is None else str(cell)
