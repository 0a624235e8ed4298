"""What to do about a customer who may leave: simple rules over a prediction, its reasons and the best offer. Pure.

In this order, see docs/predictions.md:

1. What the risk asks for: critical a personal contact, high a retention offer, medium the next promotion, each with the
   offer that the customer may get; low none, unless a contact pays off by the costs that training assumed.
2. What the strongest reason that raises the risk suggests.
3. A doubt, where the confidence is low.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from campaigns.definition import Offer
    from models.reasons import Factor

_ACTIONS = {
    "critical": "Contact the customer in person now",
    "high": "Make a retention offer now",
    "medium": "Include the customer in the next promotion",
}
# The first whose word is in the name of the feature.
_REMEDIES = (
    (("cancel", "complain", "return", "refund"), "Settle what went wrong before you advertise"),
    (("days_since", "recency", "last_"), "Remind the customer of what they bought before"),
    (("count", "frequency", "transactions", "orders", "visits"), "Reward the next purchase: there were few"),
    (("revenue", "value", "monetary", "spend", "items"), "Offer what suits a small basket"),
)


def recommend(prediction: Mapping[str, Any], reasons: Sequence[Factor], offer: Offer | None) -> list[str]:
    """Return what to do about a customer, a sentence without a full stop each.

    Args:
        prediction: churn_risk, is_at_risk and confidence of the customer.
        reasons: of the prediction, the strongest first; empty where none are known.
        offer: the best one that the customer may get; None where there is none.
    """
    risk, made = prediction["churn_risk"], f": {offer.name}" if offer else ""
    if risk in _ACTIONS:
        advice = [f"{_ACTIONS[risk]}{made}"]
    elif prediction["is_at_risk"]:
        advice = [f"Include the customer in a promotion if it is cheap: the risk is low, but a contact pays off{made}"]
    else:
        return ["No retention contact is needed"]
    strongest = next((each for each in reasons if each.contribution > 0), None)
    if strongest is not None:
        advice += [remedy for words, remedy in _REMEDIES if any(word in strongest.feature for word in words)][:1]
    if prediction["confidence"] == "low":
        advice.append("Look at the customer before you spend on an offer: the confidence is low")
    return advice
