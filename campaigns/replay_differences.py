"""How the decisions of a replay differ from those of the live ledger. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

Kind = Literal["same", "changed", "added", "removed", "unsent"]
KINDS: tuple[Kind, ...] = ("same", "changed", "added", "removed", "unsent")


@dataclass(frozen=True, slots=True)
class DecidedTrigger:
    """A decision, of the replay or of the live ledger.

    Attributes:
        outcome: fired, control or withheld.
        reason: why.
        detail: the reason in words.
        as_of: event time.
        channel: of the contact or control exposure; None where it was withheld.
        offer_id: the same.
        message: of the trigger; None where it was withheld, or the ledger has the trigger no longer.
        variant: the key of the campaign's variant, None without one.
        propensity: the probability with which its offer was to be made.
        net_value: what the contact was expected to bring; None where no contact was possible.
        contact_cost: of a contact by its channel.
        offer_cost: of its offer, if accepted.
    """

    outcome: str
    reason: str
    detail: str
    as_of: datetime
    channel: str | None
    offer_id: int | None
    message: str | None
    variant: str | None
    propensity: float | None
    net_value: float | None
    contact_cost: float | None
    offer_cost: float | None


@dataclass(frozen=True, slots=True)
class Exposure:
    """An opportunity that the replay or the live ledger contacts or holds out, and what became of the live one.

    Attributes:
        outcome: of the replay: fired, control or withheld; None without a decision.
        channel: of the replay's contact or control exposure; None where there is none.
        propensity: the probability of its offer, given a contact.
        net_value: what the replay expects of it.
        contact_cost: of a contact by its channel.
        offer_cost: of its offer, if accepted.
        live_outcome: the same of the live ledger, as all that begin with `live`.
        is_converted: whether the customer converted after the live one.
        value: of the conversions.
    """

    campaign: str
    customer_id: str
    outcome: str | None
    channel: str | None
    offer_id: int | None
    propensity: float | None
    net_value: float | None
    contact_cost: float
    offer_cost: float
    live_outcome: str | None
    live_channel: str | None
    live_offer_id: int | None
    live_propensity: float | None
    live_contact_cost: float
    live_offer_cost: float
    is_converted: bool
    value: float


@dataclass(frozen=True, slots=True)
class Difference:
    """One opportunity, as the replay and the live ledger decided it.

    Attributes:
        kind: same: sent by both; changed: sent by both, with another offer, channel or message; added: sent by the
            replay only; removed: sent by the live ledger only; unsent: sent by neither.
        changed: which of offer, channel and message differ.
        replayed: None where the replay made no decision.
        live: None where the live ledger has none.
        is_recorded: the replay decided on the facts that the live decision recorded.
        is_uncertain: what the ledger held of the customer when the period began is not known exactly.
    """

    kind: Kind
    customer_id: str
    trigger_id: str
    campaign: str
    segment: str
    occasion: str
    changed: Sequence[str]
    replayed: DecidedTrigger | None
    live: DecidedTrigger | None
    is_recorded: bool
    is_uncertain: bool
