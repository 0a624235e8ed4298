"""The result of each step of the pipeline, in the order of the steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.leads import FoldedLeads

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from campaigns.breaker import CampaignStop
    from campaigns.decide import ContactHistory, Decision
    from campaigns.feedback import Feedback
    from campaigns.ports import BatchChanges, Committed, CustomerKey, ExperimentCustomer
    from features.signals import Message, Signals
    from features.table import Column, FeatureTable
    from segments.engine import Transitions
    from streams.decision_config import DecisionConfig
    from streams.formats.events import Decoded, Event, EventsByKind, Reject
    from streams.outcomes import FoldedOutcomes


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Decoded events of customers that the warehouse knows, and their features, one row per customer.

    `latest` has the latest event of each customer to evaluate, of those too that the warehouse does not know.
    """

    decoded: Decoded
    latest: Mapping[str, Event]
    table: FeatureTable
    cache_lost: bool
    lost_columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scored batch: everything but what the ledger holds.

    It is decided with the config that it was scored with, even when another model is promoted meanwhile. `unavailable`
    has the facts that cannot be computed, and the missing columns behind each; `awaited` the updates that campaigns
    wait for, by their key in the ledger; `shadow` the facts that challengers would add, by model.
    """

    config: DecisionConfig
    refreshed: Refreshed
    poison: Sequence[Reject]
    facts: FeatureTable
    messages: Mapping[str, list[Message]]
    unavailable: Mapping[str, Collection[str]]
    awaited: Mapping[CustomerKey, Event]
    shadow: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)

    @property
    def events(self) -> EventsByKind:
        """The events of the batch."""
        return self.refreshed.decoded.events

    @property
    def latest(self) -> Mapping[str, Event]:
        """Each customer's latest event."""
        return self.refreshed.latest

    @property
    def rejects(self) -> list[Reject]:
        """The records that become dead letters, independent of the ledger."""
        return [*self.refreshed.decoded.rejects, *self.poison]


@dataclass(frozen=True, slots=True)
class Folded:
    """New messages folded into signals and new outcomes into contacts, and the facts with the signals added.

    Attributes:
        messages: those not folded before, by customer.
        signals: the new signals, by customer.
        as_of: the time of each customer's latest event.
        facts: one row per customer, all facts.
        outcomes: new states of contacts, changes of consent, and outcomes that become dead letters.
        contact_histories: by customer, with the batch's own changes of consent and feedback.
        feedback: what staff said of customers.
        updates: the awaited updates that were not processed before.
        leads: new states of leads, and alerts.
    """

    messages: Mapping[str, list[Message]]
    signals: Mapping[str, Signals]
    as_of: Mapping[str, datetime]
    facts: FeatureTable
    outcomes: FoldedOutcomes
    contact_histories: Mapping[str, ContactHistory]
    feedback: Sequence[Feedback]
    updates: Mapping[CustomerKey, Event] = field(default_factory=dict)
    leads: FoldedLeads = field(default_factory=FoldedLeads)


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The transitions of a batch, the decisions they and launches lead to, and the campaigns that breakers stop.

    `experiment_customers` are those whom experiments on models reach.
    """

    transitions: Transitions
    decisions: Sequence[Decision]
    stops: Sequence[CampaignStop] = ()
    experiment_customers: Sequence[ExperimentCustomer] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """A committed batch: the changes, what the ledger stored of them, and the epochs of its partitions.

    `left_out` is the number of events without effect, by reason: `erased` or `pruned`.
    """

    changes: BatchChanges
    committed: Committed
    owners: Mapping[int, int]
    events: int
    rejects: Sequence[Reject]
    left_out: Mapping[str, int] = field(default_factory=dict)
