"""Explanations in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.consent import EVERY_CHANNEL
from campaigns.decide import Outcome
from campaigns.guardrails import Reason
from console.feedback_views import describe_feedback
from models.tasks.churn import Churn
from models.tasks.ltv import LifetimeValue
from models.tasks.nbo import NextBestOffer
from models.tasks.uplift import Uplift

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from campaigns.consent import ConsentChange
    from campaigns.decision_inputs import DecisionInputs
    from campaigns.recomputation import Recomputed
    from campaigns.records import DecisionRecord
    from console.use_cases.explanations import CustomerExplanation, DecisionExplanation, RuleExplanation
    from segments.explanation import Comparison, Explanation

SHORT = 1000.0  # from here on numbers are written out, without an exponent
_BASES = {
    "decision_basis": (Churn.name, "churn was scored"),
    "offer_basis": (NextBestOffer.name, "the offer was chosen"),
}
_EXPLAINED = {
    Churn.name: "churn probability",
    LifetimeValue.name: "lifetime value",
    NextBestOffer.name: "offer before the second",
}
HEADLINE_FACTS = (
    "churn_probability",
    "days_since_last_transaction",
    "transaction_count",
    "total_revenue",
    "rfm_segment",
    "sentiment_score",
)


def describe_customer(explained: CustomerExplanation) -> list[str]:
    """Return everything about a customer in lines."""
    inside = [f"{each.segment} since {each.entered_at:%Y-%m-%d}" for each in explained.memberships if each.is_member]
    return [
        f"customer {explained.customer_id}: member of {', '.join(inside) or 'no segment'}",
        *(f"- {describe_decision(each)}" for each in explained.decisions),
        "" if explained.decisions else "no campaign has had this customer as a candidate",
        *(f"- {describe_consent_change(each)}" for each in explained.consent_changes),
        *(f"- {describe_feedback(each)}" for each in explained.feedback),
        f"now: {headline(explained.facts)}",
        *(f"- {each}" for each in explained.substitutions),
        *(f"- {describe_rule(each)}" for each in explained.rules),
    ]


def describe_decision(explained: DecisionExplanation, *, names_outcome: bool = True) -> str:
    """Return one decision in two lines: what was done and why, and the facts its segment's rule looked at.

    Args:
        explained: the decision.
        names_outcome: whether the outcome is said; without it where a badge says it.
    """
    decision = explained.record
    when = f"{decision.as_of:%Y-%m-%d}"
    of = "" if decision.variant is None else f", variant {decision.variant}"
    done, why = {
        Outcome.FIRED: ("contacted, ", f"{_because(decision)}{of}"),
        Outcome.CONTROL: ("not contacted, ", f"{decision.detail}{of}"),
        Outcome.WITHHELD: ("withheld, ", decision.detail),
    }[Outcome(decision.outcome)]
    verdict = f"{when} {decision.campaign}: {done if names_outcome else ''}{why}"
    if decision.failure is not None:
        verdict = (
            f"{when} {decision.campaign}: decided to contact, {_because(decision)}{of}, but the trigger could not be "
            f"published: {decision.failure}"
        )
    rule = describe_rule(explained.rule) if explained.rule else _describe_changed_rule(explained)
    again = [_describe_recomputed(explained.recomputed)] if explained.recomputed else []
    lines = [
        verdict,
        *([rule] if rule else []),
        *_describe_effect(decision),
        *describe_reasons(decision.inputs),
        *_describe_substitutions(decision),
        *_describe_experiments(decision),
        *again,
    ]
    return "\n    ".join(lines)


def describe_reasons(inputs: DecisionInputs | None) -> list[str]:
    """Return the reasons on a decision's trigger, a line for each."""
    return [
        f"{_EXPLAINED.get(task, task)} {each.contribution:+,.4g}: {each.text}"
        for task, factors in (inputs.reasons.items() if inputs else ())
        for each in factors
    ]


def _describe_effect(decision: DecisionRecord) -> list[str]:
    """Return what the model of uplift expected of a contact; of one that it ruled out, the detail says so."""
    effect = decision.inputs.effect if decision.inputs else None
    if effect is None or decision.reason in {Reason.NEGATIVE_UPLIFT, Reason.NEGATIVE_VALUE}:
        return []
    model = decision.versions.get(Uplift.name, "a model of uplift")
    with_contact, without = f"{effect.converts:.3g}", f"{effect.converts_anyway:.3g}"
    return [f"{model}: the customer converts with probability {with_contact} with the contact and {without} without."]


def _describe_recomputed(recomputed: Recomputed) -> str:
    under = f" under other definitions ({'; '.join(recomputed.changed)})" if recomputed.changed else ""
    if recomputed.problem:
        return f"cannot be recomputed{under}: {recomputed.problem}"
    if recomputed.differences:
        return f"recomputed{under}: differs in {'; '.join(recomputed.differences)}"
    return f"recomputed{under}: the same"


def _describe_substitutions(decision: DecisionRecord) -> list[str]:
    """Return a sentence for each model that served then and could not score the customer."""
    served = {fact: decision.versions.get(model, "rules") for fact, (model, _) in _BASES.items()}
    return [
        f"{what} by a rule: {model} {served[fact]} served, but gave no usable score for this customer"
        for fact, (model, what) in _BASES.items()
        if decision.facts.get(fact) == "rules" and served[fact] != "rules"
    ]


def _describe_experiments(decision: DecisionRecord) -> list[str]:
    """Return the part of each experiment on a model that was in force."""
    arms = decision.inputs.experiments if decision.inputs else ()
    return [
        f"experiment {each.experiment} on {each.model}: "
        + (
            f"the shadow {each.challenger} said {headline(each.shadow, each.shadow)}, and decided nothing"
            if each.shadow
            else f"the customer is the {each.arm}'s, scored by {decision.versions.get(each.model, 'rules')}"
        )
        for each in arms
    ]


def describe_consent_change(change: ConsentChange) -> str:
    """Return one change of consent: when, what, and the event it came from."""
    what = "gave consent again" if change.granted else "revoked consent"
    channel = "every channel" if change.channel == EVERY_CHANNEL else change.channel
    return f"{change.changed_at:%Y-%m-%d} {what} for {channel}: {change.source}, event {change.event_id}"


def _describe_changed_rule(explained: DecisionExplanation) -> str:
    changed = explained.changed
    if changed is None:
        return ""
    decided_by = explained.record.versions["segment"]
    return f"{changed.name}: decided by version {decided_by} of its rule, which is now {changed.version}."


def _because(decision: DecisionRecord) -> str:
    return describe_cause(decision.reason, decision.segment, decision.event_id, decision.detail)


def describe_cause(reason: str, segment: str, event_id: str | None, detail: str) -> str:
    """Return why a customer is contacted, from what a decision says of it."""
    whys: dict[str, str] = {
        Reason.ENTERED_SEGMENT: f"entered {segment}",
        Reason.LEFT_SEGMENT: f"left {segment}",
        Reason.EVENT_OCCURRED: f"event {event_id} of a member of {segment}",
        Reason.LAUNCHED: "launched by the operator",
    }
    # A worker of a newer version may decide for reasons that this one does not know.
    why = whys.get(reason, reason.replace("_", " "))
    _, deferred, until = detail.partition("; ")
    return f"{why}{deferred}{until}"


def describe_rule(explained: RuleExplanation) -> str:
    """Return how facts stand to each comparison of a segment's rule."""
    segment, explanation = explained.segment, explained.explanation
    if not segment.rule.facts:
        return f"{segment.name}: the rule asks for no fact and {'always' if explanation.met else 'never'} holds."
    comparisons = "; ".join(_describe_comparison(each) for each in explanation.comparisons)
    miss = explanation.nearest_miss
    nearest = f", nearest miss {miss.subject}" if miss and len(explanation.comparisons) > 1 else ""
    stays = _describe_exit_rule(explained.leaving)
    return f"{segment.name} ({'holds' if explanation.met else 'does not hold'}{nearest}): {comparisons}.{stays}"


def _describe_exit_rule(leaving: Explanation | None) -> str:
    if leaving is None:
        return ""
    comparisons = "; ".join(map(_describe_comparison, leaving.comparisons))
    return f" Remains a member until the exit rule holds{': ' if comparisons else ''}{comparisons}."


def _describe_comparison(comparison: Comparison) -> str:
    if comparison.operator == "is":
        return f"{comparison.subject} is {describe_value(comparison.value)}"
    verb = "is" if comparison.met != comparison.negated else "is not"
    value, threshold = describe_value(comparison.value), describe_value(comparison.threshold)
    return f"{comparison.subject} {value} {verb} {comparison.operator} {threshold}"


def headline(facts: Mapping[str, Any], names: Iterable[str] = HEADLINE_FACTS) -> str:
    """Return the facts a person asks for first."""
    return ", ".join(f"{name} {describe_value(facts[name])}" for name in names if facts.get(name) is not None)


def pick_examples(decisions: Sequence[tuple[str, DecisionRecord]]) -> list[tuple[str, DecisionRecord]]:
    """Pick the first decision that fired, one held out and one withheld, of different campaigns where there are.

    Args:
        decisions: with the customer's id, first evaluations left out.
    """
    picked: list[tuple[str, DecisionRecord]] = []
    for outcome in Outcome:
        found = [pair for pair in decisions if pair[1].outcome == outcome]
        campaigns = {each.campaign for _, each in picked}
        picked += sorted(found, key=lambda pair: pair[1].campaign in campaigns)[:1]
    return picked


def describe_value(cell: Any) -> str:
    """Return a fact's value in words: four digits of a small number, no fraction of a large one."""
    if isinstance(cell, float):
        return f"{cell:.4g}" if abs(cell) < SHORT else f"{cell:,.0f}"
    return "null" if cell is None else str(cell)
