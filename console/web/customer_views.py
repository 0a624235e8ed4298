"""What a principal may see of a customer, and the record that they looked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from campaigns.guardrails import Reason
from console.access.roles import Permission

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.decide import Decision
    from campaigns.replay_differences import DecidedTrigger, Difference
    from console.access.roles import Principal
    from console.use_cases.explanations import CustomerExplanation, DecisionExplanation, RuleExplanation
    from console.use_cases.live import LiveEvent
    from console.use_cases.replay import Replayed
    from console.use_cases.timelines import Timeline
    from console.use_cases.what_if import WhatIf
    from console.web.context import WebContext
    from models.reasons import Factor
    from segments.explanation import Comparison, Explanation

HIDDEN = "hidden"
QUOTING: Mapping[str, str] = {
    Reason.MESSAGE_FAILED: f"the message cannot be written: why is {HIDDEN}, because it may quote personal columns",
    Reason.UNREADABLE_CONSENT: f"consent cannot be read: the value is {HIDDEN}, because it may be personal",
}
"""What the reasons that quote facts of the customer say to who may not see them."""


def mask(facts: Mapping[str, Any], principal: Principal, personal: Collection[str]) -> dict[str, Any]:
    """Return facts, those that identify a customer hidden from who may not see them."""
    if principal.may(Permission.SEE_PERSONAL):
        return dict(facts)
    return {name: HIDDEN if name in personal and cell is not None else cell for name, cell in facts.items()}


def mask_explanation(
    found: CustomerExplanation, principal: Principal, personal: Collection[str]
) -> CustomerExplanation:
    """Return an explanation without what identifies the customer, where the principal may not see that."""
    if principal.may(Permission.SEE_PERSONAL):
        return found
    return replace(
        found,
        facts=mask(found.facts, principal, personal),
        rules=[_mask_rule(each, personal) for each in found.rules],
        decisions=[_mask_decision(each, principal, personal) for each in found.decisions],
    )


def hide_quoted(reason: str, detail: str, principal: Principal) -> str:
    """Return why a decision was made, what it quotes of the customer hidden from who may not see personal columns.

    Args:
        reason: of the decision.
        detail: the reason in words. Which columns it quotes is not known: a message reads any.
        principal: who looks.
    """
    return detail if principal.may(Permission.SEE_PERSONAL) else QUOTING.get(reason, detail)


def mask_timeline(found: Timeline, principal: Principal) -> Timeline:
    """Return a timeline, what its decisions quote of the customer hidden from who may not see it."""
    entries = [
        replace(
            each,
            details={**each.details, "detail": hide_quoted(each.details["reason"], each.details["detail"], principal)},
        )
        if each.kind == "decision"
        else each
        for each in found.entries
    ]
    return replace(found, entries=entries)


def mask_event(event: LiveEvent, principal: Principal) -> LiveEvent:
    """Return a decision or an alert, what it quotes of the customer hidden from who may not see it."""
    if "detail" not in event.body:
        return event
    detail = hide_quoted(event.body["reason"], event.body["detail"], principal)
    if detail == event.body["detail"]:
        return event
    # What quotes columns is withheld: in words, too, the reason is the detail alone.
    return replace(event, body={**event.body, "detail": detail, "why": detail})


def mask_replay(found: Replayed, principal: Principal) -> Replayed:
    """Return a replay, messages and what else quotes customers hidden from who may not see personal columns."""
    if principal.may(Permission.SEE_PERSONAL):
        return found

    def hide(decided: DecidedTrigger | None) -> DecidedTrigger | None:
        if decided is None:
            return None
        detail = hide_quoted(decided.reason, decided.detail, principal)
        return replace(decided, message=decided.message and HIDDEN, detail=detail)

    def hide_both(each: Difference) -> Difference:
        return replace(each, replayed=hide(each.replayed), live=hide(each.live))

    return replace(found, examples=[hide_both(each) for each in found.examples])


def mask_what_if(found: WhatIf, principal: Principal, personal: Collection[str]) -> WhatIf:
    """Return a what-if, personal columns and messages, which quote them, hidden from who may not see them."""
    if principal.may(Permission.SEE_PERSONAL):
        return found

    def hide(decision: Decision) -> Decision:
        message, subject = decision.message and HIDDEN, decision.subject and HIDDEN
        detail = hide_quoted(decision.reason, decision.detail, principal)
        return msgspec.structs.replace(decision, message=message, subject=subject, detail=detail)

    return replace(
        found,
        changes=[
            replace(each, before=HIDDEN, after=HIDDEN) if each.fact in personal else each for each in found.changes
        ],
        decisions=[hide(each) for each in found.decisions],
        without=[hide(each) for each in found.without],
    )


def mask_prediction(prediction: Mapping[str, Any], principal: Principal, personal: Collection[str]) -> dict[str, Any]:
    """Return a prediction, the reasons that quote a personal column hidden from who may not see it."""
    if principal.may(Permission.SEE_PERSONAL) or "risk_factors" not in prediction:
        return dict(prediction)
    factors = [
        {**each, "value": HIDDEN, "text": HIDDEN} if each["feature"] in personal else each
        for each in prediction["risk_factors"]
    ]
    return {**prediction, "risk_factors": factors}


def _mask_decision(
    explained: DecisionExplanation, principal: Principal, personal: Collection[str]
) -> DecisionExplanation:
    record, rule = explained.record, explained.rule
    inputs = record.inputs
    if inputs is not None:
        reasons = {task: _mask_factors(factors, personal) for task, factors in inputs.reasons.items()}
        inputs = msgspec.structs.replace(inputs, reasons=reasons)
    masked = replace(record, inputs=inputs, detail=hide_quoted(record.reason, record.detail, principal))
    return replace(explained, record=masked, rule=None if rule is None else _mask_rule(rule, personal))


def _mask_factors(factors: Sequence[Factor], personal: Collection[str]) -> tuple[Factor, ...]:
    return tuple(replace(each, value=HIDDEN, text=HIDDEN) if each.feature in personal else each for each in factors)


def _mask_rule(explained: RuleExplanation, personal: Collection[str]) -> RuleExplanation:
    leaving, segment = explained.leaving, explained.segment
    read = segment.rule.facts | (segment.exit_rule.facts if segment.exit_rule else frozenset())
    if read.isdisjoint(personal):
        return explained
    return replace(
        explained,
        explanation=_mask_comparisons(explained.explanation, personal),
        leaving=None if leaving is None else _mask_comparisons(leaving, personal),
    )


def _mask_comparisons(explanation: Explanation, personal: Collection[str]) -> Explanation:
    return replace(explanation, comparisons=tuple(_mask_comparison(each, personal) for each in explanation.comparisons))


def _mask_comparison(comparison: Comparison, personal: Collection[str]) -> Comparison:
    """Hide both sides of a comparison of a personal column; elsewhere the threshold, which may be computed from one."""
    # A name may have blanks and signs, so it is looked for as a whole.
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", comparison.subject) for name in personal):
        return replace(comparison, value=HIDDEN, threshold=HIDDEN)
    return replace(comparison, threshold=HIDDEN)


def note_view(context: WebContext, principal: Principal, customer_id: str, what: str) -> None:
    """Record that somebody looked at a customer."""
    context.accounts.record(principal.name, f"view {what}", customer_id, customer_id=customer_id)
