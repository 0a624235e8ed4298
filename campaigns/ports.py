"""The ports of the ledger: of workers, with one read and one commit per batch, of re-evaluations, of due customers."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from campaigns.triggers import Message

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from campaigns.breaker import CampaignStop
    from campaigns.consent import ConsentChange
    from campaigns.contact_state import Contact, ContactState
    from campaigns.decide import ContactHistory, Decision
    from campaigns.definition import Campaign
    from campaigns.feedback import Feedback
    from campaigns.leads import LeadRecord, LeadState
    from campaigns.records import ActivationRecord, ReevaluationRecord
    from campaigns.tombstones import Tombstones
    from features.insights import Insights
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import Activation, EarlierResult, MembershipState, Mode, Transition


CustomerKey = tuple[str, str]
"""A customer's id and the id of one of their messages, outcomes, triggers or decisions."""
HourRange = tuple[int, int]
"""The first and the last of some clock hours since 1970."""


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the rules in force need of the ledger, beside what each evaluation needs.

    Attributes:
        last_transitions: when the customers last entered or left a segment.
        insights: the kinds of insights, see features/insights.py.
    """

    last_transitions: bool = False
    insights: Sequence[str] = ()


NO_FACTS = LedgerFacts()


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the ledger holds of the customers of a batch. Unknown customers are in none of the mappings.

    The last contacts of campaigns without a cooldown are left out: no guardrail reads them, and their number grows.

    Attributes:
        memberships: by customer.
        signals: by customer.
        contact_histories: by customer.
        seen_messages: those of the requested messages and outcomes that have been folded already; two channels may use
            one message id for two customers.
        contacts: those of the requested triggers and control exposures that exist.
        decided: those of the requested decisions that exist; of a contact also when its decision was deleted.
        stops: why each campaign that is stopped is, by campaign.
        contact_hours: contacts and control exposures of each campaign with a breaker, by clock hour since 1970.
        due_times: when time alone may change a segment of a customer, in seconds since 1970, 0 for never.
        pruned_before: what was processed before then may be missing from this state; None if nothing was pruned.
        last_transitions: the event time of each customer's latest transition, if asked for; none of the future.
        insights: what batch jobs found of each customer, of the kinds asked for.
        leads: those of the requested leads that exist.
    """

    memberships: Mapping[str, MembershipState]
    signals: Mapping[str, Signals]
    contact_histories: Mapping[str, ContactHistory]
    seen_messages: Collection[CustomerKey]
    contacts: Mapping[CustomerKey, Contact] = field(default_factory=dict)
    decided: Collection[CustomerKey] = ()
    stops: Mapping[str, str] = field(default_factory=dict)
    contact_hours: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    due_times: Mapping[str, int] = field(default_factory=dict)
    pruned_before: datetime | None = None
    last_transitions: Mapping[str, datetime] = field(default_factory=dict)
    insights: Mapping[str, Insights] = field(default_factory=dict)
    leads: Mapping[str, LeadState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExperimentCustomer:
    """A customer whom an experiment on a model reaches; the first time counts.

    Attributes:
        experiment: its key.
        customer_id: who.
        arm: `champion` or `challenger`.
        first_at: the event time.
        scores: by the champion and by the challenger; None of a live experiment, whose arms have one of them.
        answers: what the scores lead to, likewise: a band, a value segment, or the id of the best offer.
    """

    experiment: str
    customer_id: str
    arm: str
    first_at: datetime
    scores: tuple[float | None, float | None] = (None, None)
    answers: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Everything one batch changes, committed as one transaction or not at all.

    Attributes:
        transitions: memberships that begin or end.
        transitions_at: the event time of each customer's transitions.
        evaluated: customers whose recorded segment versions change.
        versions: the versions that are recorded for them, by segment; those activated when left out.
        signals: new signals by customer.
        message_ids: messages folded.
        decisions: decisions made. The first outcome of a decision stands: of one that is stored already neither the
            contact nor the messages are stored.
        outcome_ids: outcomes folded.
        contact_states: the new state of each contact that has outcomes in the batch.
        consent_changes: revocations, and consent given again.
        feedback: what staff said of customers; of one event id the first counts.
        messages: what is to be published.
        cache_lost: an invalidation of the feature cache may not have happened.
        stops: campaigns that the batch stops; one that is stopped already stays as it is.
        due_times: new due times, None for a customer who is not due any more; of customers evaluated before, or in this
            batch.
        experiment_customers: whom experiments on models reach; those that an experiment has reached already stay so.
        leads: the new state of leads; one that is older than the ledger's is not stored.
        lead_records: events of leads, among the outcomes folded.
    """

    transitions: Sequence[Transition] = ()
    transitions_at: Mapping[str, datetime] = field(default_factory=dict)
    evaluated: Sequence[str] = ()
    versions: Mapping[str, str] | None = None
    earlier_results: Sequence[EarlierResult] = ()
    signals: Mapping[str, Signals] = field(default_factory=dict)
    message_ids: Sequence[CustomerKey] = ()
    decisions: Sequence[Decision] = ()
    outcome_ids: Sequence[CustomerKey] = ()
    contact_states: Mapping[CustomerKey, ContactState] = field(default_factory=dict)
    consent_changes: Sequence[ConsentChange] = ()
    feedback: Sequence[Feedback] = ()
    messages: Sequence[Message] = ()
    cache_lost: bool = False
    stops: Sequence[CampaignStop] = ()
    due_times: Mapping[str, int | None] = field(default_factory=dict)
    experiment_customers: Sequence[ExperimentCustomer] = ()
    leads: Sequence[LeadState] = ()
    lead_records: Sequence[LeadRecord] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes; times and versions alone are no changes."""
        return not any(getattr(self, each.name) for each in fields(self) if each.name not in _CIRCUMSTANCES)


_CIRCUMSTANCES = ("transitions_at", "versions")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a topic can never accept a message."""

    topic: str
    reason: str


class OutboxRow(msgspec.Struct, frozen=True):
    """A message as the outbox holds it: `sequence` grows in the order of commits of its partition.

    With a `refusal`, `message` is the dead letter that is published in place of the message that was refused.
    """

    sequence: int
    message: Message
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit stored, and the generation of the feature cache from now on."""

    outbox: Sequence[OutboxRow]
    cache_generation: int


class Ledger(Protocol):
    """The worker's state, in one transactional store."""

    async def read(  # noqa: PLR0913 - one parameter for each part of the state
        self,
        customer_ids: Sequence[str],
        message_ids: Sequence[CustomerKey],
        *,
        triggers: Sequence[CustomerKey] = (),
        decisions: Sequence[CustomerKey] = (),
        contacts_after: datetime | None = None,
        hours: Sequence[HourRange] = (),
        versions: Mapping[str, str] | None = None,
        facts: LedgerFacts = NO_FACTS,
        leads: Sequence[str] = (),
    ) -> LedgerState:
        """Return what is held of customers, messages and outcomes, triggers and decisions.

        Args:
            customer_ids: whose memberships, signals and contact histories to read.
            message_ids: messages and outcomes that may have been folded already.
            triggers: triggers and control exposures whose state to read.
            decisions: decisions that may exist.
            contacts_after: which contacts the histories list, by event time; none of them when left out.
            hours: whose contacts the breakers count; none when left out.
            versions: under which the customers will be evaluated, by segment; those activated when left out.
            facts: what the rules in force need of the ledger.
            leads: the leads to read.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
        """

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """Store a batch's changes and intents together.

        What is stored already is left as it is: a batch that is committed twice changes nothing the second time. Only
        what this commit stored is returned.

        Args:
            changes: the batch.
            owners: for each input partition of the batch, the epoch under which this worker claimed it.

        Raises:
            LedgerUnavailableError: nothing is known to be stored; commit again.
            LedgerConflictError: a message or outcome was folded by another worker meanwhile; read and decide again.
            LedgerFencedError: another worker has claimed a partition; drop the batch.
        """

    async def dry_run(self, changes: BatchChanges) -> None:
        """Do what a commit does, then roll back: every error that the changes cause is raised.

        Raises:
            LedgerUnavailableError: the result is unknown; the ledger cannot be reached now.
            LedgerConflictError: a message or outcome was folded by another worker meanwhile.
        """

    async def claim(self, partition: int) -> int:
        """Acquire a partition, fence its earlier owner, and return the new epoch.

        A commit of the earlier owner in flight ends first; none can begin afterwards.
        """

    async def cache_generation(self) -> int:
        """Return the generation of the feature cache."""

    async def tombstones(self) -> Tombstones:
        """Return the tombstones of erased customers, which a later claim may find more of."""

    async def last_sequence(self) -> int:
        """Return the highest sequence that any message was given, 0 before the first."""

    async def unsent(self, partition: int) -> Sequence[OutboxRow]:
        """Return the messages of a partition that are not marked sent, in order of sequence."""

    async def mark_sent(self, rows: Sequence[OutboxRow]) -> None:
        """Mark messages as published and acknowledged by the broker."""

    async def mark_failed(self, rows: Sequence[OutboxRow]) -> None:
        """Store refusals: from now on `unsent` returns the dead letter in place of each of these messages.

        Args:
            rows: with a refusal and the dead letter as message, see campaigns/unpublishable.py.

        Raises:
            LedgerUnavailableError: nothing is known to be stored; store it again, which changes nothing.
        """

    async def activate(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign], *, at: datetime
    ) -> Mapping[str, Activation]:
        """Record definitions that are new or changed, and return the activation of each segment by key.

        An activation with mode `new` has the segment's other versions.
        """

    async def find_changed(self, segments: Sequence[Segment]) -> Sequence[str]:
        """Return the keys of the segments of which another version was in force last."""

    async def set_mode(self, segment: Segment, mode: Mode, *, at: datetime, by: str, why: str) -> None:
        """Set what the first evaluations under a segment's present version may fire, and note who did it and why."""

    async def segment_history(self, segment: str) -> Sequence[ActivationRecord]:
        """Return each time that a version of a segment was put into force or its mode was set, the latest first."""


class Reevaluations(Protocol):
    """The re-evaluations of a ledger. Calls block."""

    def alone(self) -> AbstractContextManager[None]:
        """Lock out other processes that re-evaluate meanwhile.

        Raises:
            ReevaluationError: another process re-evaluates now.
        """

    def find_unfinished(self, fingerprint: str) -> ReevaluationRecord | None:
        """Return the re-evaluation for these versions that is not complete, None without one."""

    def begin(self, reevaluation_id: str, fingerprint: str, *, as_of: datetime, by: str) -> ReevaluationRecord:
        """Record a new re-evaluation."""

    def advance(self, reevaluation_id: str, *, last: str, customers: int) -> None:
        """Record that it is over for more customers, up to the last one in the order of the warehouse."""

    def finish(self, reevaluation_id: str) -> None:
        """Record that it is over for every customer."""

    def evaluated(self, customer_ids: Sequence[str], versions: Mapping[str, str]) -> Collection[str]:
        """Return which of the customers were last evaluated under exactly these versions of all segments."""


@dataclass(frozen=True, slots=True)
class WorkerSessionsSeen:
    """The workers that have a session of the ledger now.

    Attributes:
        names: one for each worker, own included.
        session: of this worker; another one after its connection was opened again.
    """

    names: frozenset[str]
    session: int


class WorkerSessions(Protocol):
    """The sessions of a ledger's workers: the one of a process that dies ends at once."""

    async def find(self, name: str) -> WorkerSessionsSeen:
        """Give this worker's session a name, and return all that have one.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now; the session has ended.
            SharedSessionError: several clients share a session, so that its end says nothing.
        """

    async def close(self) -> None:
        """End this worker's session."""


class DueCustomer(NamedTuple):
    """A customer who is due, and since when, in seconds since 1970."""

    customer_id: str
    due_at: int


class DueCustomers(Protocol):
    """The customers of a ledger who wait until time changes something of them."""

    async def now(self) -> int:
        """Return the ledger's present time, in seconds since 1970.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
        """

    async def claim(self, now: int, *, limit: int, lease_s: float) -> Sequence[DueCustomer]:
        """Claim customers who are due, the longest due first; others claim them again after the lease.

        A claim ends when the customer gets another due time. Of two claims at once each customer is in one.

        Args:
            now: seconds since 1970.
            limit: the most customers.
            lease_s: how long no other worker claims them, by the ledger's clock.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now; what was claimed is claimed again after the lease.
        """

    async def last_transition(self) -> int | None:
        """Return the event time of the latest transition of any customer, in seconds since 1970; None without one.

        It reads every membership.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
        """

    async def next_due(self) -> int | None:
        """Return the earliest due time of those not claimed, in seconds since 1970; None without one.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
        """
