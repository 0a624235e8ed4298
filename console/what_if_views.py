"""What would be decided in words, and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from campaigns.decide import Outcome
from console.explanation_views import describe_value

if TYPE_CHECKING:
    from campaigns.decide import Decision
    from console.use_cases.what_if import MembershipChange, WhatIf

WOULD = {
    Outcome.FIRED: "would contact",
    Outcome.CONTROL: "would hold out",
    Outcome.WITHHELD: "would withhold",
}
"""What would be done, by outcome."""


def describe_what_if(found: WhatIf) -> list[str]:
    """Return the answer in lines."""
    moved = [each for each in found.memberships if each.before != each.after]
    scores = [each for each in found.scores if each.before != each.after]
    held = ", ".join(each.segment for each in found.memberships if each.before)
    return [
        f"customer {found.customer_id}, an update at {found.as_of:%Y-%m-%d %H:%M} UTC; nothing is stored or sent",
        *(f"- {each.fact} {describe_value(each.before)} -> {describe_value(each.after)}" for each in found.changes),
        *(f"  {each.note}" for each in found.changes if each.note),
        f"scores: {'no change' if not scores else ''}".rstrip(),
        *(f"- {each.fact} {describe_value(each.before)} -> {describe_value(each.after)}" for each in scores),
        f"segments: member of {held or 'no segment'} before{'' if moved else ', no entry and no exit'}",
        *(f"- {describe_move(each)}" for each in moved),
        *(
            f"- {each.segment} cannot be evaluated: the view lacks {', '.join(each.frozen)}"
            for each in found.memberships
            if each.frozen
        ),
        f"campaigns:{'' if found.decisions or found.prevented else ' none would have this customer as a candidate'}",
        *(line for each in found.decisions for line in _describe_decision(found, each)),
        *(
            f"- {each.candidate.campaign.key} {WOULD[each.outcome]} with today's facts, not with these"
            for each in found.prevented
        ),
        *(f"note: {each}" for each in found.notes),
    ]


def describe_move(move: MembershipChange) -> str:
    """Return an entry or an exit in words."""
    what = f"enters {move.segment}" if move.after else f"leaves {move.segment}"
    suppressed = ", suppressed: the first evaluation under this version fires no campaign" if move.suppressed else ""
    anyway = ", with today's facts too" if move.without == move.after else ""
    return f"{what}{suppressed}{anyway}"


def _describe_decision(found: WhatIf, decision: Decision) -> list[str]:
    anyway = "" if found.is_caused(decision) or not found.changes else " (with today's facts too)"
    lines = [f"- {decision.candidate.campaign.key} {WOULD[decision.outcome]}: {decision.detail}{anyway}"]
    if decision.offer is not None and decision.channel is not None:
        variant = f", variant {decision.variant}" if decision.variant else ""
        value = "" if decision.net_value is None else f", expected net value {decision.net_value:.4g}"
        lines.append(f"    by {decision.channel}, offer {decision.offer.offer.key}{variant}{value}")
    if decision.subject:
        lines.append(f"    subject: {decision.subject}")
    if decision.message:
        lines.append(f"    message: {decision.message}")
    return lines


def as_object(found: WhatIf) -> dict[str, Any]:
    """Return the answer as JSON values."""
    return {
        "customer_id": found.customer_id,
        "as_of": found.as_of.isoformat(),
        "changes": [
            {"fact": each.fact, "before": each.before, "after": each.after, "replaces_computed": each.is_computed}
            for each in found.changes
        ],
        "memberships": [
            {
                "segment": each.segment,
                "before": each.before,
                "after": each.after,
                "after_with_todays_facts": each.without,
                "suppressed": each.suppressed,
                "missing_columns": list(each.frozen),
            }
            for each in found.memberships
        ],
        "scores": [{"fact": each.fact, "before": each.before, "after": each.after} for each in found.scores],
        "decisions": [{**_as_object(each), "caused": found.is_caused(each)} for each in found.decisions],
        "decisions_with_todays_facts": [_as_object(each) for each in found.without],
        "notes": list(found.notes),
    }


def _as_object(decision: Decision) -> dict[str, Any]:
    return {
        "campaign": decision.candidate.campaign.key,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "detail": decision.detail,
        "channel": decision.channel,
        "offer_id": decision.offer.offer.id if decision.offer else None,
        "offer": decision.offer.offer.key if decision.offer else None,
        "variant": decision.variant,
        "net_value": decision.net_value,
        "subject": decision.subject,
        "message": decision.message,
        "deliver_after": decision.deferred_to.isoformat() if decision.deferred_to else None,
    }
