"""Records of the ledger, as commands read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from campaigns.decision_inputs import DecisionInputs
    from segments.engine import Mode


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as the ledger keeps it.

    Attributes:
        failure: why its trigger could not be published; None when it was, or will be.
        net_value: what the contact was expected to bring; None where no contact was possible.
        variant: the key of the campaign's variant; None where nothing was sent or held out, or there were no variants.
        channel: of the contact or control exposure; None where it was withheld.
        offer_id: of the contact or control exposure.
        propensity: the probability with which its offer was to be made.
        inputs: what it read besides facts and definitions; None where that was not recorded yet.
        message: of its trigger; None where it was withheld, or the outbox has the trigger no longer.
        subject: of its trigger; None where its channel has none.
    """

    campaign: str
    segment: str
    occasion: str
    outcome: str
    reason: str
    detail: str
    as_of: datetime
    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    event_id: str
    failure: str | None = None
    net_value: float | None = None
    variant: str | None = None
    channel: str | None = None
    offer_id: int | None = None
    propensity: float | None = None
    inputs: DecisionInputs | None = None
    message: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class MembershipRecord:
    """A customer's latest episode in a segment."""

    segment: str
    episode: int
    is_member: bool
    entered_at: datetime
    exited_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A member of a segment.

    Attributes:
        customer_id: who.
        entered_at: event time of the entry.
        version: the version of the segment under which the customer entered.
        suppressed: whether the entry fired no campaign.
    """

    customer_id: str
    entered_at: datetime
    version: str
    suppressed: bool


@dataclass(frozen=True, slots=True)
class SizeRecord:
    """How many members a segment had in an hour.

    Attributes:
        at: begin of the hour.
        members: counted within it.
    """

    at: datetime
    members: int


@dataclass(frozen=True, slots=True)
class LaunchRecord:
    """A launch of a campaign by an operator.

    Attributes:
        as_of: event time of its requests.
        last_customer_id: Kafka has acknowledged the requests for this member and all before it, by customer id.
        members: members requested so far.
        done_at: when the last member was requested; None while some are left.
    """

    launch_id: str
    campaign: str
    as_of: datetime
    actor: str
    started_at: datetime
    last_customer_id: str | None
    members: int
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class ActivationRecord:
    """A version of a segment was put into force, or the mode of its first evaluations was set.

    Attributes:
        version: the version.
        mode: what its first evaluations may fire, see segments.engine.Mode.
        activated_at: when.
        actor: who; the user of the worker that started first where that was all.
        why: the reason that the operator gave; empty where none was given.
        rules: `rule` and `exit_rule`; None where they were not recorded.
    """

    version: str
    mode: Mode
    activated_at: datetime
    actor: str
    why: str
    rules: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ReevaluationRecord:
    """A re-evaluation of every customer under changed segments.

    Attributes:
        fingerprint: of the versions of all segments that it is for, see segments.definition.fingerprint.
        as_of: event time of its requests.
        last_customer_id: it is over for this customer and all before, in the order of the warehouse.
        customers: their number.
        done_at: when it was over for the last one; None while some are left.
    """

    reevaluation_id: str
    fingerprint: str
    as_of: datetime
    actor: str
    started_at: datetime
    last_customer_id: str | None
    customers: int
    done_at: datetime | None


@dataclass(frozen=True, slots=True)
class StopRecord:
    """A campaign that is stopped.

    Attributes:
        campaign: its key.
        reason: why.
        actor: who stopped it: `breaker`, or a person.
        stopped_at: when.
    """

    campaign: str
    reason: str
    actor: str
    stopped_at: datetime


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """Something that happened to a customer.

    Attributes:
        at: the event time; of an event that was processed and of a delivery, when it was.
        kind: one of `event`, `processed`, `feedback`, `consent`, `left`, `entered`, `decision`, `contact`, `delivery`
            and `outcome`.
        details: what the ledger holds of it, as JSON values.
    """

    at: datetime
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """When a customer was erased, by whom and why."""

    erased_at: datetime
    actor: str
    why: str
