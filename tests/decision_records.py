"""The record of a decision, as the ledger would give it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from campaigns.decide import Outcome
from campaigns.decision_inputs import DecisionInputs
from campaigns.records import DecisionRecord
from campaigns.triggers import trigger_body

if TYPE_CHECKING:
    from campaigns.decide import Decision


def record_of(decision: Decision) -> DecisionRecord:
    """Return the record of a decision, with what JSON makes of its facts and inputs."""
    candidate, offer = decision.candidate, decision.offer
    is_exposed = decision.outcome is not Outcome.WITHHELD
    return DecisionRecord(
        candidate.campaign.key,
        candidate.campaign.segment,
        candidate.occasion,
        str(decision.outcome),
        str(decision.reason),
        decision.detail,
        candidate.as_of,
        msgspec.json.decode(msgspec.json.encode(decision.facts)),
        dict(candidate.versions),
        candidate.event_id,
        net_value=decision.net_value,
        variant=decision.variant,
        inputs=msgspec.json.decode(msgspec.json.encode(decision.inputs), type=DecisionInputs),
        channel=decision.channel,
        offer_id=offer.offer.id if offer else None,
        propensity=decision.propensity,
        message=trigger_body(decision)["message"] if is_exposed else None,
        subject=trigger_body(decision).get("subject") if is_exposed else None,
    )
