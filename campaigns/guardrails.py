"""Guardrails: reasons not to contact a customer, one function each, in one list. Pure.

A guardrail sees the candidate, the contact history and the facts, and returns a refusal or None. It does not see the
arm of the experiment: a held-out customer is refused exactly when a contacted one would be. A new guardrail is a
function and a reason in this module, and its place in `GUARDRAILS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from campaigns.channels import STAFF
from campaigns.consent import describe_unreadable, find_consented_channels
from campaigns.feedback import FeedbackKind, find_in_force
from features.times import STALE

if TYPE_CHECKING:
    from campaigns.contact_limits import ContactLimit
    from campaigns.decide import Candidate, ContactHistory

GUARDRAIL_FACTS = frozenset({"preferred_channel", STALE})
"""The facts recorded with every decision, besides the consent columns of a campaign's channels."""


class Reason(StrEnum):
    """Why a candidate fired, is a control exposure, or was withheld."""

    ENTERED_SEGMENT = "entered_segment"
    LEFT_SEGMENT = "left_segment"
    EVENT_OCCURRED = "event_occurred"
    LAUNCHED = "launched"
    HOLDOUT = "holdout"
    FIRST_EVALUATION = "first_evaluation"
    NOT_A_MEMBER = "not_a_member"
    EXPIRED = "expired"
    DO_NOT_CONTACT = "do_not_contact"
    NO_CONSENTED_CHANNEL = "no_consented_channel"
    UNREADABLE_CONSENT = "unreadable_consent"
    COOLDOWN = "cooldown"
    CONTACT_LIMIT = "contact_limit"
    NO_ELIGIBLE_OFFER = "no_eligible_offer"
    MESSAGE_FAILED = "message_failed"
    NEGATIVE_VALUE = "negative_value"
    NEGATIVE_UPLIFT = "negative_uplift"
    OUTRANKED = "outranked"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a guardrail refuses a contact.

    Attributes:
        reason: recorded with the decision.
        detail: the reason as a sentence, with its values.
        until: event time from which this guardrail no longer refuses; None when it is not a matter of time.
    """

    reason: Reason
    detail: str
    until: datetime | None = None


Guardrail = Callable[["Candidate", "ContactHistory", Mapping[str, Any]], Refusal | None]

_KNOWN_BEFORE = {
    Reason.FIRST_EVALUATION: "first evaluation since the segment was activated or a model was promoted: the membership "
    "is kept, nothing fires",
    Reason.NOT_A_MEMBER: "no longer a member of the segment when the launch reached the customer",
}


def refuse_known_before(candidate: Candidate, _history: ContactHistory, _facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a candidate that the segment or the launch rules out."""
    reason = candidate.withheld
    return Refusal(reason, _KNOWN_BEFORE[reason]) if reason else None


def refuse_expired(candidate: Candidate, _history: ContactHistory, _facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a trigger that had expired when its event arrived.

    The arrival is the timestamp of the event's record, so a redelivery is decided as the first delivery was.
    """
    expires_at = candidate.expires_at
    if candidate.received_ms < expires_at.timestamp() * 1000:
        return None
    arrived = datetime.fromtimestamp(candidate.received_ms / 1000, UTC)
    detail = f"expired at {expires_at:%Y-%m-%d %H:%M}, before its event arrived at {arrived:%Y-%m-%d %H:%M}"
    return Refusal(Reason.EXPIRED, detail)


def refuse_do_not_contact(candidate: Candidate, history: ContactHistory, _facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a customer whom staff asked not to contact; a notification of staff is no contact."""
    if not history.feedback or candidate.campaign.recipient == STAFF:
        return None
    asked = find_in_force(history.feedback, FeedbackKind.DO_NOT_CONTACT, candidate.as_of)
    if asked is None:
        return None
    until = f" until {asked.until:%Y-%m-%d %H:%M}" if asked.until else ""
    return Refusal(Reason.DO_NOT_CONTACT, f"staff asked for no contact{until}: feedback {asked.event_id}", asked.until)


def refuse_without_consent(candidate: Candidate, history: ContactHistory, facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a customer who consents to none of the campaign's channels."""
    campaign = candidate.campaign
    if find_consented_channels(campaign, facts, history.consent):
        return None
    if unreadable := describe_unreadable(campaign, facts):
        detail = (
            f"consent cannot be read: {unreadable}; list the value in the channel's consent_values as given or denied"
        )
        return Refusal(Reason.UNREADABLE_CONSENT, detail)
    return Refusal(Reason.NO_CONSENTED_CHANNEL, f"no consent for any of: {', '.join(campaign.channels)}")


def refuse_in_cooldown(candidate: Candidate, history: ContactHistory, _facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a customer whom the campaign contacted, or would have contacted, in its last `cooldown_days`.

    A bounce does not end the cooldown: a control exposure cannot bounce, and the arms would be treated differently.
    """
    last = history.last_contact(candidate.campaign.key)
    if last is None or not candidate.campaign.cooldown_days:
        return None
    until = last + timedelta(days=candidate.campaign.cooldown_days)
    if candidate.as_of >= until:
        return None
    return Refusal(Reason.COOLDOWN, f"in the campaign's cooldown; again from {until:%Y-%m-%d}", until)


def refuse_beyond_limits(candidate: Candidate, history: ContactHistory, facts: Mapping[str, Any]) -> Refusal | None:
    """Refuse a customer who has been contacted as often as a limit allows, on every channel with consent."""
    campaign, at = candidate.campaign, candidate.as_of
    if not campaign.limits or not history.contacts:
        return None
    for limit in campaign.limits:
        if limit.channel is None and (until := limit.find_end(history.contacts, at)):
            return _refuse_until(limit, until)
    limited = find_limited_channels(candidate, history)
    consented = find_consented_channels(campaign, facts, history.consent)
    if limited and all(each in limited for each in consented):
        return _refuse_until(*min((limited[each] for each in consented), key=itemgetter(1)))
    return None


def find_limited_channels(candidate: Candidate, history: ContactHistory) -> Mapping[str, tuple[ContactLimit, datetime]]:
    """Return the channels by which one more contact would break a limit, with the limit that ends last and its end."""
    found: dict[str, tuple[ContactLimit, datetime]] = {}
    for limit in candidate.campaign.limits if history.contacts else ():
        if limit.channel and (until := limit.find_end(history.contacts, candidate.as_of)):
            found[limit.channel] = max(found.get(limit.channel, (limit, until)), (limit, until), key=itemgetter(1))
    return found


def _refuse_until(limit: ContactLimit, until: datetime) -> Refusal:
    return Refusal(Reason.CONTACT_LIMIT, f"{limit}; again from {until:%Y-%m-%d %H:%M}", until)


GUARDRAILS: Sequence[Guardrail] = (
    refuse_known_before,
    refuse_expired,
    refuse_do_not_contact,
    refuse_without_consent,
    refuse_in_cooldown,
    refuse_beyond_limits,
)
"""In the order in which they are evaluated; the first refusal counts."""
