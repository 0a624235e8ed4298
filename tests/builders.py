"""Builders of values with defaults; a test names only the fields it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from campaigns.decide import Candidate, ContactHistory, Decision, Proposal, propose, settle
from campaigns.definition import Campaign, Offer
from campaigns.guardrails import GUARDRAILS
from segments.definition import build_segment
from segments.engine import FIRST_EVALUATION, Transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from campaigns.contact_limits import ContactLimit
    from campaigns.guardrails import Guardrail
    from segments.definition import Segment

AS_OF = datetime(2011, 6, 1, 12, 30, tzinfo=UTC)


def offers() -> dict[int, Offer]:
    """All eight offers."""
    return {number: Offer(id=number, key=f"offer-{number}", name=f"Offer {number}") for number in range(1, 9)}


def campaign(*, limits: Sequence[ContactLimit] = (), **changes: Any) -> Campaign:
    """A campaign that contacts every customer who enters the segment `at-risk`: no holdout, no cooldown, no limit."""
    defaults = {
        "key": "win-back",
        "name": "Win back",
        "segment": "at-risk",
        "offers": (1, 3),
        "channels": ("email", "sms"),
        "message": "For you: {{ offer.name }}",
    }
    return Campaign.model_validate({**defaults, **changes}, context={"limits": tuple(limits)})


def candidate(**changes: Any) -> Candidate:
    """A candidate of `campaign()` for ann, who entered its segment for the first time."""
    defaults = {
        "customer_id": "ann",
        "campaign": campaign(),
        "occasion": "1",
        "as_of": AS_OF,
        "event_id": "event-1",
        "received_ms": 1_306_931_400_000,
        "partition": 3,
        "versions": {"churn": "rules", "campaign": "c0ffee", "segment": "f00d"},
        "facts_read": tuple(facts()),
    }
    return Candidate(**{**defaults, **changes})


def facts(**changes: Any) -> dict[str, Any]:
    """The facts of a customer who consents to e-mail and SMS."""
    return {
        "email_consent": True,
        "sms_consent": True,
        "preferred_channel": "email",
        "churn_probability": 0.75,
        "churn_risk": "high",
        "predicted_ltv": 1250.5,
        "decision_basis": "rules",
        "offer_basis": "rules",
        **changes,
    }


def scores(*best: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Scores of the eight offers, shape [8]: 0.75 for the best and 0.25 for all others."""
    return np.array([0.75 if number in best else 0.25 for number in range(1, 9)], dtype=np.float32)


def decide(
    candidate: Candidate,
    facts: dict[str, Any],
    history: ContactHistory,
    offers: dict[int, Offer],
    offer_scores: np.ndarray[Any, np.dtype[np.float32]],
    guardrails: Sequence[Guardrail] = GUARDRAILS,
) -> Decision:
    """Decide one candidate that no other competes with."""
    proposed = propose(candidate, facts, history, offers, offer_scores, guardrails)
    return settle(proposed) if isinstance(proposed, Proposal) else proposed


def decision(history: ContactHistory | None = None, *, best: Sequence[int] = (3,), **changes: Any) -> Decision:
    """The decision about `candidate(**changes)`; it fires unless a change prevents it."""
    return decide(candidate(**changes), facts(), history or ContactHistory(), offers(), scores(*best))


def control(**changes: Any) -> Decision:
    """The decision about ann with a holdout of half of all customers, which includes her."""
    return decision(campaign=campaign(holdout_percent=50), **changes)


def segment(key: str = "at-risk", rule: Any = None) -> Segment:
    """A segment; without a rule, every customer is in it."""
    return build_segment({"key": key, "name": key.title(), "rule": rule}, where="test")


def transition(
    customer_id: str = "ann", *, entered: bool = True, episode: int = 1, suppressed: bool = False
) -> Transition:
    """A customer enters or leaves the segment `at-risk`."""
    kind: Literal["entered", "exited"] = "entered" if entered else "exited"
    return Transition(customer_id, "at-risk", kind, episode, suppressed, FIRST_EVALUATION if suppressed else None)
