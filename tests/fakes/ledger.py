"""An in-memory ledger."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import structs

from campaigns.breaker import hour_of
from campaigns.contact_limits import PastContact
from campaigns.contact_state import Contact, ContactState
from campaigns.decide import ContactHistory, Outcome
from campaigns.errors import LedgerConflictError, LedgerFencedError, LedgerUnavailableError
from campaigns.ports import NO_FACTS, Committed, LedgerState, OutboxRow
from campaigns.records import ActivationRecord
from campaigns.tombstones import Tombstones
from campaigns.triggers import decision_message_id
from segments.definition import build_segment
from segments.engine import EARLIER_KEPT, Activation, Episode, MembershipState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from campaigns.breaker import CampaignStop
    from campaigns.consent import ConsentChange
    from campaigns.decide import Decision
    from campaigns.definition import Campaign
    from campaigns.feedback import Feedback
    from campaigns.leads import LeadRecord, LeadState
    from campaigns.ports import BatchChanges, CustomerKey, ExperimentCustomer, HourRange, LedgerFacts
    from campaigns.triggers import Message
    from features.insights import Insights
    from features.signals import Signals
    from segments.definition import Segment
    from segments.engine import Mode, Transition


RESERVED = ContactState()


@dataclass(frozen=True)
class Exposure:
    """A contact or a control exposure, with its state."""

    campaign: str
    channel: str
    variant: str
    decided_at: datetime
    offer: int
    state: ContactState = RESERVED
    campaign_variant: str | None = None


@dataclass
class Customer:
    """The state of one customer."""

    episodes: dict[str, Episode] = field(default_factory=dict)
    evaluated_versions: Mapping[str, str] = field(default_factory=dict)
    earlier_versions: tuple[Mapping[str, str], ...] = ()
    signals: Signals | None = None
    seen: set[str] = field(default_factory=set)
    contacts: dict[str, Exposure] = field(default_factory=dict)
    consent_changes: dict[str, ConsentChange] = field(default_factory=dict)
    feedback: dict[str, Feedback] = field(default_factory=dict)
    decisions: dict[str, Decision] = field(default_factory=dict)
    due_at: int | None = None
    claimed: bool = False
    transitions_at: dict[tuple[str, str], datetime] = field(default_factory=dict)

    def find_last_transition(self) -> datetime | None:
        """Return the time of the latest transition that is not in the future."""
        now = datetime.now(UTC)
        return max((each for each in self.transitions_at.values() if each <= now), default=None)


class InMemoryLedger:
    """Implements `campaigns.ports.Ledger`; `away` makes every call fail."""

    def __init__(self) -> None:
        self.customers: dict[str, Customer] = {}
        self.outbox: dict[tuple[str, str], OutboxRow] = {}
        self.sent: set[int] = set()
        self.failed: dict[int, OutboxRow] = {}
        self.letters: dict[str, Message] = {}
        self.epochs: dict[int, int] = {}
        self.activations: dict[tuple[str, str, str], Activation] = {}
        self.histories: dict[str, list[ActivationRecord]] = {}
        self.generation = 1
        self.erased = Tombstones()
        self.pruned_before: datetime | None = None
        self.away = False
        self._versions: dict[str, str] = {}
        self._cooling: set[str] = set()
        self._breaking: set[str] = set()
        self.hours: dict[str, Counter[int]] = defaultdict(Counter)
        self.stopped: dict[str, CampaignStop] = {}
        self.reached: dict[tuple[str, str], ExperimentCustomer] = {}
        self.insights: dict[str, Insights] = {}
        self.leads: dict[str, LeadState] = {}
        self.lead_records: dict[tuple[str, str], LeadRecord] = {}

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
        """See the port."""
        self.reach()
        known = {each: self.customers[each] for each in customer_ids if each in self.customers}
        histories = {each: _contact_history(c, self._cooling, contacts_after) for each, c in known.items()}
        return LedgerState(
            {
                each: MembershipState(dict(c.episodes), c.evaluated_versions, self._earlier(c, versions))
                for each, c in known.items()
                if c.episodes or c.evaluated_versions
            },
            {each: c.signals for each, c in known.items() if c.signals is not None},
            {each: history for each, history in histories.items() if history != ContactHistory()},
            {(each, event) for each, event in message_ids if event in self._find(each).seen},
            {
                (each, trigger): Contact(contact.channel, contact.state)
                for each, trigger in triggers
                if (contact := self._find(each).contacts.get(trigger))
            },
            {(each, decision) for each, decision in decisions if decision in self._find(each).decisions},
            {each.campaign: each.reason for each in self.stopped.values()},
            self._contact_hours(hours),
            {each: c.due_at or 0 for each, c in known.items() if c.evaluated_versions},
            self.pruned_before,
            _last_transitions(known) if facts.last_transitions else {},
            {each: found for each in customer_ids if (found := self._find_insights(each, facts.insights))},
            leads={each: self.leads[each] for each in leads if each in self.leads},
        )

    async def commit(self, changes: BatchChanges, *, owners: Mapping[int, int]) -> Committed:
        """See the port."""
        self.reach()
        if any(self.epochs.get(partition) != epoch for partition, epoch in owners.items()):
            raise LedgerFencedError(f"the epochs of the in-memory ledger differ from {dict(owners)}")
        await self.dry_run(changes)
        self._write_state(changes)
        refused = self._write_decisions(changes.decisions)
        self._write_outcomes(changes)
        self.generation += changes.cache_lost
        for each in changes.experiment_customers:
            self.reached.setdefault((each.experiment, each.customer_id), each)
        for lead in changes.leads:
            self._write_lead(lead)
        for record in changes.lead_records:
            self.lead_records.setdefault((record.lead_id, record.event_id), record)
        for stop in changes.stops:
            self.stopped.setdefault(stop.campaign, stop)
        return Committed(self._write_outbox(changes.messages, refused), self.generation)

    async def dry_run(self, changes: BatchChanges) -> None:
        """See the port."""
        self.reach()
        folded = [*changes.message_ids, *changes.outcome_ids]
        if any(event in self._find(customer).seen for customer, event in folded):
            raise LedgerConflictError("a message or outcome of this batch is in the ledger in memory already")

    async def claim(self, partition: int) -> int:
        """See the port."""
        self.reach()
        self.epochs[partition] = self.epochs.get(partition, 0) + 1
        return self.epochs[partition]

    async def cache_generation(self) -> int:
        """See the port."""
        self.reach()
        return self.generation

    async def tombstones(self) -> Tombstones:
        """See the port."""
        self.reach()
        return self.erased

    async def last_sequence(self) -> int:
        """See the port."""
        self.reach()
        return len(self.outbox)

    async def unsent(self, partition: int) -> Sequence[OutboxRow]:
        """See the port."""
        self.reach()
        waiting = [each for each in self.outbox.values() if each.sequence not in self.sent]
        return [self.failed.get(each.sequence, each) for each in waiting if each.message.partition == partition]

    async def mark_sent(self, stored: Sequence[OutboxRow]) -> None:
        """See the port."""
        self.reach()
        self.sent |= {each.sequence for each in stored}

    async def mark_failed(self, rows: Sequence[OutboxRow]) -> None:
        """See the port."""
        self.reach()
        for each in rows:
            self.failed.setdefault(each.sequence, each)
            self.letters.setdefault(each.message.message_id, each.message)

    async def activate(
        self, segments: Sequence[Segment], campaigns: Sequence[Campaign], *, at: datetime
    ) -> Mapping[str, Activation]:
        """See the port."""
        self.reach()
        self._versions = {each.key: each.version for each in segments}
        self._cooling |= {each.key for each in campaigns if each.cooldown_days}
        self._breaking |= {each.key for each in campaigns if each.breaker}
        for kind, definitions in (("segment", segments), ("campaign", campaigns)):
            for each in definitions:
                self.activations.setdefault((kind, each.key, each.version), Activation(each.version, at))
        for each in segments:
            noted = self.histories.setdefault(each.key, [])
            if not noted or noted[0].version != each.version:
                mode = self.activations["segment", each.key, each.version].mode
                noted.insert(0, ActivationRecord(each.version, mode, at, "worker", "", json.loads(each.rules)))
        return {each.key: self._find_activation(each) for each in segments}

    async def find_changed(self, segments: Sequence[Segment]) -> Sequence[str]:
        """See the port."""
        self.reach()
        return [
            each.key
            for each in segments
            if any(h.version != each.version for h in self.histories.get(each.key, [])[:1])
        ]

    async def set_mode(self, segment: Segment, mode: Mode, *, at: datetime, by: str, why: str) -> None:
        """See the port."""
        self.reach()
        place = ("segment", segment.key, segment.version)
        self.activations[place] = replace(self.activations.get(place, Activation(segment.version, at)), mode=mode)
        noted = ActivationRecord(segment.version, mode, at, by, why, json.loads(segment.rules))
        self.histories.setdefault(segment.key, []).insert(0, noted)

    async def segment_history(self, segment: str) -> Sequence[ActivationRecord]:
        """See the port."""
        self.reach()
        return list(self.histories.get(segment, ()))

    def _find_activation(self, segment: Segment) -> Activation:
        found = self.activations["segment", segment.key, segment.version]
        noted = self.histories[segment.key] if found.mode == "new" else []
        content = {"key": segment.key, "name": segment.name}
        others = {each.version: build_segment({**content, **each.rules}, where="test") for each in noted if each.rules}
        return replace(found, others=others)

    async def stop_campaign(self, stop: CampaignStop) -> bool:
        """See PostgresLedger."""
        return self.stopped.setdefault(stop.campaign, stop) is stop

    async def resume_campaign(self, campaign: str, *, actor: str, reason: str) -> bool:
        """See PostgresLedger."""
        del actor, reason
        stopped = self.stopped.pop(campaign, None)
        if stopped is not None:
            self.hours[campaign].clear()
        return stopped is not None

    def _contact_hours(self, ranges: Sequence[HourRange]) -> dict[str, dict[int, int]]:
        def is_read(hour: int) -> bool:
            return any(first <= hour <= last for first, last in ranges)

        found = {key: {hour: n for hour, n in self.hours[key].items() if is_read(hour)} for key in self._breaking}
        return {key: counts for key, counts in found.items() if counts}

    async def feedback_of(self, customer_id: str) -> Sequence[Feedback]:
        """Return everything that staff said of a customer, in the order of event time."""
        self.reach()
        given = self._find(customer_id).feedback.values()
        return sorted(given, key=lambda each: (each.given_at, each.event_id))

    def reach(self) -> None:
        """Raise LedgerUnavailableError while the ledger is away."""
        if self.away:
            raise LedgerUnavailableError("the in-memory ledger is away")

    def _find_insights(self, customer_id: str, kinds: Sequence[str]) -> Insights:
        return {kind: facts for kind, facts in self.insights.get(customer_id, {}).items() if kind in kinds}

    def _customer(self, customer_id: str) -> Customer:
        return self.customers.setdefault(customer_id, Customer())

    def _find(self, customer_id: str) -> Customer:
        return self.customers.get(customer_id, Customer())

    def _write_state(self, changes: BatchChanges) -> None:
        for each in changes.transitions:
            self._write_transition(each, changes.transitions_at[each.customer_id])
        for result in changes.earlier_results:
            episodes = self._customer(result.customer_id).episodes
            episodes[result.segment] = structs.replace(episodes[result.segment], member_under=result.member_under)
        versions = changes.versions or self._versions
        for customer_id in changes.evaluated:
            customer = self._customer(customer_id)
            if customer.evaluated_versions and customer.evaluated_versions != versions:
                earlier = [each for each in customer.earlier_versions if each != versions]
                others = [each for each in earlier if each != customer.evaluated_versions]
                customer.earlier_versions = (customer.evaluated_versions, *others)[:EARLIER_KEPT]
            customer.evaluated_versions = versions
        for customer_id, due_at in changes.due_times.items():
            customer = self._find(customer_id)
            if customer.evaluated_versions:
                customer.due_at, customer.claimed = due_at, False
        for customer_id, signals in changes.signals.items():
            self._customer(customer_id).signals = signals
        for customer_id, event in [*changes.message_ids, *changes.outcome_ids]:
            self._customer(customer_id).seen.add(event)

    def _write_lead(self, lead: LeadState) -> None:
        held = self.leads.get(lead.lead_id)
        if held is None or held.updated_at is None or (lead.updated_at and lead.updated_at >= held.updated_at):
            self.leads[lead.lead_id] = lead

    def _write_transition(self, change: Transition, at: datetime) -> None:
        customer = self._customer(change.customer_id)
        customer.transitions_at[change.segment, change.kind] = at
        if change.kind == "entered":
            customer.transitions_at.pop((change.segment, "exited"), None)
        episodes = customer.episodes
        held = episodes.get(change.segment, Episode(0, is_member=False))
        suppressed = change.suppressed if change.kind == "entered" else held.suppressed
        episodes[change.segment] = Episode(change.episode, change.kind == "entered", suppressed, held.member_under)

    def _earlier(self, customer: Customer, versions: Mapping[str, str] | None) -> tuple[Mapping[str, str], ...]:
        return customer.earlier_versions if customer.evaluated_versions != (versions or self._versions) else ()

    def _write_decisions(self, decisions: Sequence[Decision]) -> set[str]:
        """Store decisions with their contacts, and return the messages of those that are stored already."""
        refused = set()
        for each in decisions:
            candidate = each.candidate
            customer = self._customer(candidate.customer_id)
            if candidate.trigger_id in customer.decisions:
                refused |= {candidate.trigger_id, decision_message_id(candidate.trigger_id)}
                continue
            customer.decisions[candidate.trigger_id] = each
            if each.outcome is not Outcome.WITHHELD and each.channel is not None and each.offer is not None:
                variant = "treatment" if each.outcome is Outcome.FIRED else "control"
                key, as_of = candidate.campaign.key, candidate.as_of
                contact = Exposure(
                    key, each.channel, variant, as_of, each.offer.offer.id, campaign_variant=each.variant
                )
                customer.contacts[candidate.trigger_id] = contact
                if key in self._breaking:
                    self.hours[key][hour_of(as_of)] += 1
        return refused

    def _write_outcomes(self, changes: BatchChanges) -> None:
        for (customer_id, trigger), state in changes.contact_states.items():
            contacts = self._find(customer_id).contacts
            if trigger in contacts:
                contacts[trigger] = replace(contacts[trigger], state=state)
        for change in changes.consent_changes:
            self._customer(change.customer_id).consent_changes.setdefault(change.event_id, change)
        for each in changes.feedback:
            self._customer(each.customer_id).feedback.setdefault(each.event_id, each)

    def _write_outbox(self, messages: Sequence[Message], refused: Collection[str]) -> list[OutboxRow]:
        fresh = []
        for message in messages:
            if message.destination == "dead_letters":
                self.letters.setdefault(message.message_id, message)
            key = (message.customer_id, message.message_id)
            if key not in self.outbox and message.message_id not in refused:
                self.outbox[key] = OutboxRow(len(self.outbox) + 1, message)
                fresh.append(self.outbox[key])
        return fresh


def _last_transitions(known: Mapping[str, Customer]) -> dict[str, datetime]:
    found = {each: customer.find_last_transition() for each, customer in known.items()}
    return {each: at for each, at in found.items() if at is not None}


def _contact_history(customer: Customer, cooling: set[str], contacts_after: datetime | None) -> ContactHistory:
    history = ContactHistory()
    for contact in customer.contacts.values():
        past = PastContact(contact.campaign, contact.channel, contact.decided_at, contact.offer)
        if contact.campaign in cooling:
            history = structs.replace(history, last_contacts=history.with_contact(past).last_contacts)
        if contacts_after and past.at > contacts_after:
            history = structs.replace(history, contacts=(*history.contacts, past))
    for change in customer.consent_changes.values():
        history = history.with_consent_change(change)
    for feedback in customer.feedback.values():
        history = history.with_feedback(feedback)
    return history
