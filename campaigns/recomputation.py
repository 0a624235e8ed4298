"""A decision made again from its record, under the definitions of now, and how the two differ. Pure.

What the segment or the launch ruled out before, that the campaign was stopped, and the offers that were ruled out are
taken from the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING

import numpy as np

from campaigns.arbitration import loses_to, outrank_by
from campaigns.decide import Candidate, ContactHistory, Decision, propose, settle, withhold
from campaigns.guardrails import GUARDRAILS, Reason, refuse_expired

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaigns.decision_inputs import DecisionInputs
    from campaigns.definition import Campaign, Offer
    from campaigns.records import DecisionRecord

KNOWN_BEFORE = (Reason.FIRST_EVALUATION, Reason.NOT_A_MEMBER)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A decision made again.

    Attributes:
        problem: why it could not be made again; empty when it was.
        differences: a sentence for each part that is another one now.
        changed: a sentence for each definition that has changed since.
    """

    problem: str = ""
    differences: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def recompute(
    customer_id: str,
    record: DecisionRecord,
    campaigns: Mapping[str, Campaign],
    offers: dict[int, Offer],
    segment_versions: Mapping[str, str],
) -> Recomputed:
    """Make a decision again and compare it with its record.

    Args:
        customer_id: the customer.
        record: the decision as the ledger has it.
        campaigns: those defined now, by key.
        offers: those defined now, by id.
        segment_versions: the present version of each segment, by key.
    """
    campaign, inputs = campaigns.get(record.campaign), record.inputs
    if campaign is None:
        return Recomputed(f"campaign {record.campaign} is not defined now")
    if inputs is None:
        return Recomputed("it was made before the ledger recorded what decisions read")
    if record.reason not in set(Reason):
        return Recomputed(f"a newer version of Holdfast made it, whose reason {record.reason} this one does not know")
    changed = _find_changes(record, campaign, segment_versions)
    made = remake(customer_id, record, inputs, campaign, offers)
    if made.net_value is not None and not inputs.scores.keys() >= set(campaign.all_offers):
        return Recomputed("offers of the campaign as it is now were not scored", changed=changed)
    return Recomputed(differences=_compare(record, made), changed=changed)


def remake(
    customer_id: str, record: DecisionRecord, inputs: DecisionInputs, campaign: Campaign, offers: dict[int, Offer]
) -> Decision:
    """Return the decision that the record's facts and inputs lead to."""
    reason = Reason(record.reason)
    candidate = Candidate(
        customer_id=customer_id,
        campaign=campaign,
        occasion=record.occasion,
        as_of=record.as_of.astimezone(UTC),
        event_id=record.event_id,
        received_ms=inputs.received_ms,
        partition=0,
        versions=record.versions,
        facts_read=record.facts.keys(),
        withheld=reason if reason in KNOWN_BEFORE else None,
    )
    last = {campaign.key: inputs.last_contact} if inputs.last_contact else {}
    history = ContactHistory(inputs.consent, last, inputs.contacts, inputs.feedback)
    scores = np.zeros(max(offers), dtype=np.float32)
    for offer_id, score in inputs.scores.items():
        if offer_id in offers:
            scores[offer_id - 1] = score
    guardrails = [each for each in GUARDRAILS if each is not refuse_expired or not inputs.sends_expired]
    proposed = propose(candidate, record.facts, history, offers, scores, guardrails, inputs.obstacles, inputs.effect)
    if isinstance(proposed, Decision):
        return proposed
    if reason is Reason.STOPPED:
        return withhold(candidate, reason, record.detail, record.facts, proposed.net_value)
    winner = inputs.winner
    return outrank_by(proposed, winner) if winner and loses_to(proposed, winner) else settle(proposed)


def _find_changes(record: DecisionRecord, campaign: Campaign, segment_versions: Mapping[str, str]) -> tuple[str, ...]:
    now = {"campaign": campaign.version, "segment": segment_versions.get(campaign.segment)}
    keys = {"campaign": campaign.key, "segment": campaign.segment}
    return tuple(
        f"{kind} {keys[kind]} was version {record.versions[kind]}, now {version or 'not defined'}"
        for kind, version in now.items()
        if record.versions.get(kind, version) != version
    )


def _compare(record: DecisionRecord, made: Decision) -> tuple[str, ...]:
    """Return what differs; the message is compared as long as the ledger has the trigger."""
    pairs = {
        "outcome": (record.outcome, str(made.outcome)),
        "reason": (record.reason, str(made.reason)),
        "channel": (record.channel, made.channel),
        "offer": (record.offer_id, made.offer.offer.id if made.offer else None),
        "net value": (record.net_value, made.net_value),
        "propensity": (record.propensity, made.propensity),
        "variant": (record.variant, made.variant),
    }
    if record.message is not None:
        pairs["message"], pairs["subject"] = (record.message, made.message), (record.subject, made.subject)
    return tuple(f"{name} {then!r}, now {now!r}" for name, (then, now) in pairs.items() if then != now)
