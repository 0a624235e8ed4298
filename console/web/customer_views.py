"""What a principal may see of a customer, and the record that they looked."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from console.access.roles import Permission

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.decide import Decision
    from console.access.roles import Principal
    from console.use_cases.explanations import CustomerExplanation, DecisionExplanation, RuleExplanation
    from console.use_cases.what_if import WhatIf
    from console.web.context import WebContext
    from models.reasons import Factor
    from segments.explanation import Comparison, Explanation

HIDDEN = "hidden"
_NAMES = re.compile(r"[^\W\d]\w*")


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
        decisions=[_mask_decision(each, personal) for each in found.decisions],
    )


def mask_what_if(found: WhatIf, principal: Principal, personal: Collection[str]) -> WhatIf:
    """Return a what-if, personal columns and messages, which quote them, hidden from who may not see them."""
    if principal.may(Permission.SEE_PERSONAL):
        return found

    def hide(decision: Decision) -> Decision:
        message, subject = decision.message and HIDDEN, decision.subject and HIDDEN
        return msgspec.structs.replace(decision, message=message, subject=subject)

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


def _mask_decision(explained: DecisionExplanation, personal: Collection[str]) -> DecisionExplanation:
    inputs = explained.record.inputs
    if inputs is not None:
        reasons = {task: _mask_factors(factors, personal) for task, factors in inputs.reasons.items()}
        masked = msgspec.structs.replace(inputs, reasons=reasons)
        explained = replace(explained, record=replace(explained.record, inputs=masked))
    rule = explained.rule
    return replace(explained, rule=None if rule is None else _mask_rule(rule, personal))


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
    if any(name in personal for name in _NAMES.findall(comparison.subject)):
        return replace(comparison, value=HIDDEN, threshold=HIDDEN)
    return replace(comparison, threshold=HIDDEN)


def note_view(context: WebContext, principal: Principal, customer_id: str, what: str) -> None:
    """Record that somebody looked at a customer."""
    context.accounts.record(principal.name, f"view {what}", customer_id, customer_id=customer_id)
