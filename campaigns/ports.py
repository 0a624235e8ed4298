"""What the pipeline needs from the ledger: one read and one commit per batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from campaigns.decide import ContactHistory, Decision
    from campaigns.definition import Campaign
    from campaigns.triggers import Message
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import Activation, EarlierResult, MembershipState, Transition


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the ledger knows of the customers of a batch. A customer it never saw is in none of the mappings.

    A seen message is a customer's id and a message's: two channels may use one id for two customers. The last contacts
    of campaigns that have no cooldown are left out: nobody asks for them, and they are ever more.
    """

    memberships: Mapping[str, MembershipState]
    signals: Mapping[str, Signals]
    contact_histories: Mapping[str, ContactHistory]
    seen_messages: Collection[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class OutcomeReport:
    """What became of a trigger, as the campaign system tells it."""

    event_id: str
    customer_id: str
    trigger_id: str
    outcome: str
    value: float | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Everything one batch changes, committed as one transaction or not at all."""

    transitions: Sequence[Transition] = ()
    transitions_at: Mapping[str, datetime] = field(default_factory=dict)
    evaluated: Sequence[str] = ()
    earlier_results: Sequence[EarlierResult] = ()
    signals: Mapping[str, Signals] = field(default_factory=dict)
    message_ids: Sequence[tuple[str, str]] = ()
    decisions: Sequence[Decision] = ()
    outcomes: Sequence[OutcomeReport] = ()
    messages: Sequence[Message] = ()
    cache_lost: bool = False


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message as the outbox holds it: `sequence` grows in the order of commits of its partition."""

    sequence: int
    message: Message


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit stored, and the generation of the feature cache from now on."""

    outbox: Sequence[OutboxRow]
    cache_generation: int


class Ledger(Protocol):
    """All that the worker must remember, in one transactional store."""

    async def read(self, customer_ids: Sequence[str], message_ids: Sequence[tuple[str, str]]) -> LedgerState:
        """Return what is known of the customers, and which messages, by customer and id, have been folded already.

        Raises:
            LedgerUnavailableError: the ledger cannot be reached now.
        """

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """Store a batch's changes and intents together.

        What is stored already is left as it is: a batch that is committed twice changes nothing the second time.

        Args:
            changes: the batch.
            owners: for each input partition of the batch, the epoch under which this worker claimed it.

        Raises:
            LedgerUnavailableError: nothing is known to be stored; commit again.
            LedgerConflictError: a message was folded by another worker meanwhile; read and decide again.
            LedgerFencedError: another worker has claimed a partition; drop the batch.
        """

    async def dry_run(self, changes: BatchChanges) -> None:
        """Do what a commit does, and keep nothing of it: whatever the changes themselves make fail is raised.

        Raises:
            LedgerUnavailableError: it cannot be said now.
            LedgerConflictError: a message was folded by another worker meanwhile.
        """

    async def claim(self, partition: int) -> int:
        """Take a partition over from any earlier owner and return the new epoch.

        A commit of the earlier owner in flight ends first; none can begin afterwards.
        """

    async def cache_generation(self) -> int:
        """Return the generation of the feature cache."""

    async def last_sequence(self) -> int:
        """Return the highest sequence that any message was given, 0 before the first."""

    async def unsent(self, partition: int) -> Sequence[OutboxRow]:
        """Return the messages of a partition that are not marked sent, in order of sequence."""

    async def mark_sent(self, rows: Sequence[OutboxRow]) -> None:
        """Mark messages as published and acknowledged by the broker."""

    async def activate(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign], *, at: datetime
    ) -> Mapping[str, Activation]:
        """Record definitions that are new or changed, and return the activation of each segment by key."""
