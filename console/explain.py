"""Why a customer was contacted, and why not, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaigns.decide import Outcome, Reason
from segments.explanation import explain_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from campaigns.postgres_ledger import PostgresLedger
    from segments.definition import Segment
    from segments.explanation import Comparison

HEADLINE_FACTS = (
    "churn_probability",
    "days_since_last_transaction",
    "transaction_count",
    "total_revenue",
    "rfm_segment",
    "sentiment_score",
)


@dataclass(frozen=True, slots=True)
class Recorded:
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


async def recorded_decisions(ledger: PostgresLedger, customer_id: str) -> list[Recorded]:
    """Return every decision about a customer, oldest first."""
    return [Recorded(*row) for row in await ledger.rows("decisions_of", customer=customer_id)]


def explain_decision(decision: Recorded, segments: Mapping[str, Segment]) -> str:
    """Tell one decision in two sentences: what was done and why, and the facts its segment's rule looked at."""
    when = f"{decision.as_of:%Y-%m-%d}"
    verdict = {
        Outcome.FIRED: f"{when} {decision.campaign}: contacted, {_because(decision)}",
        Outcome.CONTROL: f"{when} {decision.campaign}: not contacted, {decision.detail}",
        Outcome.WITHHELD: f"{when} {decision.campaign}: withheld, {decision.detail}",
    }[Outcome(decision.outcome)]
    segment = segments.get(decision.segment)
    rule = explain_membership(segment, decision.facts) if segment else ""
    return f"{verdict}. {rule}".rstrip()


def _because(decision: Recorded) -> str:
    return f"entered {decision.segment}" if decision.reason == Reason.ENTERED_SEGMENT else "launched by the operator"


def explain_membership(segment: Segment, facts: Mapping[str, Any]) -> str:
    """Tell how the facts stand to each comparison of a segment's rule."""
    explanation = explain_rule(segment.rule, facts)
    if not explanation.comparisons:
        return f"{segment.name}: the rule is empty and always true."
    told = "; ".join(_tell(each) for each in explanation.comparisons)
    miss = explanation.nearest_miss
    nearest = f", nearest miss {miss.subject}" if miss and len(explanation.comparisons) > 1 else ""
    return f"{segment.name} ({'holds' if explanation.met else 'does not hold'}{nearest}): {told}."


def _tell(comparison: Comparison) -> str:
    verb = "is" if comparison.met != comparison.negated else "is not"
    return (
        f"{comparison.subject} {_plain(comparison.value)} {verb} {comparison.operator} {_plain(comparison.threshold)}"
    )


def headline(facts: Mapping[str, Any], names: Iterable[str] = HEADLINE_FACTS) -> str:
    """Return the facts a person asks for first."""
    return ", ".join(f"{name} {_plain(facts[name])}" for name in names if facts.get(name) is not None)


def pick_examples(decisions: Sequence[tuple[str, Recorded]]) -> list[tuple[str, Recorded]]:
    """Pick the first decision that fired, one held out and one withheld, of different campaigns where there are.

    Args:
        decisions: with the customer's id, first evaluations left out.
    """
    picked: list[tuple[str, Recorded]] = []
    for outcome in Outcome:
        found = [pair for pair in decisions if pair[1].outcome == outcome]
        told = {each.campaign for _, each in picked}
        picked += sorted(found, key=lambda pair: pair[1].campaign in told)[:1]
    return picked


def _plain(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return "null" if cell is None else str(cell)
