"""An in-memory ledger."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import structs

from campaigns.decide import ContactHistory, Outcome
from campaigns.errors import LedgerConflictError, LedgerFencedError, LedgerUnavailableError
from campaigns.ports import Committed, LedgerState, OutboxRow
from segments.engine import EARLIER_KEPT, Activation, Episode, MembershipState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from campaigns.decide import Decision
    from campaigns.definition import Campaign, Channel
    from campaigns.ports import BatchChanges, OutcomeReport
    from campaigns.triggers import Message
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import Transition

LADDER = ("reserved", "sent", "refunded", "delivered", "opened", "clicked", "converted", "expired")
STATUS = {**{name: name for name in LADDER}, "bounced": "refunded"}
REVOKES = ("unsubscribed", "complained")
NEUTRAL = ContactHistory(frozenset(), {})


@dataclass(frozen=True)
class Contact:
    """A contact or a control exposure, with its status."""

    campaign: str
    channel: Channel
    variant: str
    decided_at: datetime
    status: str = "reserved"
    value: float | None = None


@dataclass
class Customer:
    """The state of one customer."""

    episodes: dict[str, Episode] = field(default_factory=dict)
    evaluated_versions: Mapping[str, str] = field(default_factory=dict)
    earlier_versions: tuple[Mapping[str, str], ...] = ()
    signals: Signals | None = None
    seen: set[str] = field(default_factory=set)
    contacts: dict[UUID, Contact] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    decisions: dict[str, Decision] = field(default_factory=dict)


class InMemoryLedger:
    """Implements `campaigns.ports.Ledger`; `away` makes every call fail."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.outbox: dict[tuple[str, str], OutboxRow] = {}
        self.sent: set[int] = set()
        self.epochs: dict[int, int] = {}
        self.activations: dict[tuple[str, str, str], Activation] = {}
        self.generation = 1
        self.away = False
        self._versions: dict[str, str] = {}
        self._cooling: set[str] = set()

    async def read(self, customer_ids: Sequence[str], message_ids: Sequence[tuple[str, str]]) -> LedgerState:
        """See the port."""
        self._reach()
        known = {each: self.customers[each] for each in customer_ids if each in self.customers}
        memberships = {
            each: MembershipState(dict(c.episodes), c.evaluated_versions, self._earlier(c))
            for each, c in known.items()
            if c.episodes or c.evaluated_versions
        }
        signals = {each: c.signals for each, c in known.items() if c.signals is not None}
        contact_histories = {
            each: _standing(c, self._cooling)
            for each, c in known.items()
            if _standing(c, self._cooling) != ContactHistory(frozenset(), {})
        }
        seen = {(each, message) for each, message in message_ids if each in known and message in known[each].seen}
        return LedgerState(memberships, signals, contact_histories, seen)

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """See the port."""
        self._reach()
        if any(self.epochs.get(partition) != epoch for partition, epoch in owners.items()):
            raise LedgerFencedError(f"the epochs of the in-memory ledger differ from {dict(owners)}")
        await self.dry_run(changes)
        self._write_state(changes)
        self._write_decisions(changes.decisions)
        for report in changes.outcomes:
            self._write_outcome(report)
        self.generation += changes.cache_lost
        return Committed(self._write_outbox(changes.messages), self.generation)

    async def dry_run(self, changes: BatchChanges) -> None:
        """See the port."""
        self._reach()
        if any(event in self._customer(customer).seen for customer, event in changes.message_ids):
            raise LedgerConflictError("a message of this batch is already in the in-memory ledger")

    async def claim(self, partition: int) -> int:
        """See the port."""
        self._reach()
        self.epochs[partition] = self.epochs.get(partition, 0) + 1
        return self.epochs[partition]

    async def cache_generation(self) -> int:
        """See the port."""
        self._reach()
        return self.generation

    async def last_sequence(self) -> int:
        """See the port."""
        self._reach()
        return len(self.outbox)

    async def unsent(self, partition: int) -> Sequence[OutboxRow]:
        """See the port."""
        self._reach()
        waiting = [each for each in self.outbox.values() if each.sequence not in self.sent]
        return [each for each in waiting if each.message.partition == partition]

    async def mark_sent(self, stored: Sequence[OutboxRow]) -> None:
        """See the port."""
        self._reach()
        self.sent |= {each.sequence for each in stored}

    async def activate(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign], *, at: datetime
    ) -> Mapping[str, Activation]:
        """See the port."""
        self._reach()
        self._versions = {each.key: each.version for each in segments}
        self._cooling = {each.key for each in campaigns if each.cooldown_days}
        for kind, definitions in (("segment", segments), ("campaign", campaigns)):
            for each in definitions:
                self.activations.setdefault((kind, each.key, each.version), Activation(each.version, at))
        return {each.key: self.activations["segment", each.key, each.version] for each in segments}

    def _reach(self) -> None:
        if self.away:
            raise LedgerUnavailableError("the in-memory ledger is away")

    def _customer(self, customer_id: str) -> Customer:
        return self.customers.setdefault(customer_id, Customer())

    def _write_state(self, changes: BatchChanges) -> None:
        for each in changes.transitions:
            self._write_transition(each)
        for result in changes.earlier_results:
            episodes = self._customer(result.customer_id).episodes
            episodes[result.segment] = structs.replace(episodes[result.segment], member_under=result.member_under)
        for customer_id in changes.evaluated:
            customer = self._customer(customer_id)
            if customer.evaluated_versions and customer.evaluated_versions != self._versions:
                earlier = [each for each in customer.earlier_versions if each != self._versions]
                others = [each for each in earlier if each != customer.evaluated_versions]
                customer.earlier_versions = (customer.evaluated_versions, *others)[:EARLIER_KEPT]
            customer.evaluated_versions = self._versions
        for customer_id, signals in changes.signals.items():
            self._customer(customer_id).signals = signals
        for customer_id, event in changes.message_ids:
            self._customer(customer_id).seen.add(event)

    def _write_transition(self, change: Transition) -> None:
        episodes = self._customer(change.customer_id).episodes
        held = episodes.get(change.segment, Episode(0, is_member=False))
        suppressed = change.suppressed if change.kind == "entered" else held.suppressed
        episodes[change.segment] = Episode(change.episode, change.kind == "entered", suppressed, held.member_under)

    def _earlier(self, customer: Customer) -> tuple[Mapping[str, str], ...]:
        return customer.earlier_versions if customer.evaluated_versions != self._versions else ()

    def _write_decisions(self, decisions: Iterable[Decision]) -> None:
        for each in decisions:
            candidate = each.candidate
            customer = self._customer(candidate.customer_id)
            customer.decisions.setdefault(candidate.trigger_id, each)
            if each.channel is not None:
                variant = "treatment" if each.outcome is Outcome.FIRED else "control"
                contact = Contact(candidate.campaign.key, each.channel, variant, candidate.as_of)
                customer.contacts.setdefault(UUID(candidate.trigger_id), contact)

    def _write_outcome(self, report: OutcomeReport) -> None:
        customer, trigger = self._customer(report.customer_id), UUID(report.trigger_id)
        contact = customer.contacts.get(trigger)
        if contact is None:
            return
        if report.outcome in REVOKES:
            customer.revoked.add(contact.channel)
            return
        status = max(contact.status, STATUS[report.outcome], key=LADDER.index)
        value = contact.value if report.value is None else report.value
        customer.contacts[trigger] = replace(contact, status=status, value=value)

    def _write_outbox(self, messages: Sequence[Message]) -> list[OutboxRow]:
        fresh = []
        for message in messages:
            key = (message.customer_id, message.message_id)
            if key not in self.outbox:
                self.outbox[key] = OutboxRow(len(self.outbox) + 1, message)
                fresh.append(self.outbox[key])
        return fresh


def _standing(customer: Customer, cooling: set[str]) -> ContactHistory:
    counting = [each for each in customer.contacts.values() if each.campaign in cooling]
    treated = [each for each in counting if each.variant == "treatment" and each.status != "refunded"]
    last: dict[str, datetime] = {}
    for contact in sorted(treated, key=lambda each: each.decided_at):
        last[contact.campaign] = contact.decided_at
    return ContactHistory(frozenset(customer.revoked), last)
